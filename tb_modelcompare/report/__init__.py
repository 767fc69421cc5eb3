"""The tab's figure of one comparison in one file, for a supplement or a pull request."""

from tb_modelcompare.report.page import BundleMissingError, figure_html, page, report_html

__all__ = ["BundleMissingError", "figure_html", "page", "report_html"]
