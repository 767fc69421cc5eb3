"""The papers of measures as BibTeX."""

from __future__ import annotations

_ENTRIES = {
    "Kornblith et al. 2019": r"""@inproceedings{kornblith2019similarity,
  title = {Similarity of Neural Network Representations Revisited},
  author = {Kornblith, Simon and Norouzi, Mohammad and Lee, Honglak and Hinton, Geoffrey},
  booktitle = {International Conference on Machine Learning},
  pages = {3519--3529},
  year = {2019}
}""",
    "Nguyen et al. 2021": r"""@inproceedings{nguyen2021wide,
  title = {Do Wide and Deep Networks Learn the Same Things? Uncovering How Neural Network
    Representations Vary with Width and Depth},
  author = {Nguyen, Thao and Raghu, Maithra and Kornblith, Simon},
  booktitle = {International Conference on Learning Representations},
  year = {2021}
}""",
    "Song et al. 2012": r"""@article{song2012feature,
  title = {Feature Selection via Dependence Maximization},
  author = {Song, Le and Smola, Alex and Gretton, Arthur and Bedo, Justin and Borgwardt, Karsten},
  journal = {Journal of Machine Learning Research},
  volume = {13},
  pages = {1393--1434},
  year = {2012}
}""",
    "Raghu et al. 2017": r"""@inproceedings{raghu2017svcca,
  title = {{SVCCA}: Singular Vector Canonical Correlation Analysis for Deep Learning Dynamics and
    Interpretability},
  author = {Raghu, Maithra and Gilmer, Justin and Yosinski, Jason and Sohl-Dickstein, Jascha},
  booktitle = {Advances in Neural Information Processing Systems},
  pages = {6076--6085},
  year = {2017}
}""",
    "Morcos et al. 2018": r"""@inproceedings{morcos2018insights,
  title = {Insights on Representational Similarity in Neural Networks with Canonical Correlation},
  author = {Morcos, Ari S. and Raghu, Maithra and Bengio, Samy},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2018}
}""",
    "Williams et al. 2021": r"""@inproceedings{williams2021generalized,
  title = {Generalized Shape Metrics on Neural Representations},
  author = {Williams, Alex H. and Kunz, Erin and Kornblith, Simon and Linderman, Scott W.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {34},
  pages = {4738--4750},
  year = {2021}
}""",
    "Kriegeskorte et al. 2008": r"""@article{kriegeskorte2008representational,
  title = {Representational Similarity Analysis -- Connecting the Branches of Systems Neuroscience},
  author = {Kriegeskorte, Nikolaus and Mur, Marieke and Bandettini, Peter A.},
  journal = {Frontiers in Systems Neuroscience},
  volume = {2},
  year = {2008}
}""",
    "Huh et al. 2024": r"""@inproceedings{huh2024platonic,
  title = {The Platonic Representation Hypothesis},
  author = {Huh, Minyoung and Cheung, Brian and Wang, Tongzhou and Isola, Phillip},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}""",
    "Hotelling 1936": r"""@article{hotelling1936relations,
  title = {Relations Between Two Sets of Variates},
  author = {Hotelling, Harold},
  journal = {Biometrika},
  volume = {28},
  pages = {321--377},
  year = {1936}
}""",
    "Schönemann 1966": r"""@article{schonemann1966generalized,
  title = {A Generalized Solution of the Orthogonal {Procrustes} Problem},
  author = {Sch{\"o}nemann, Peter H.},
  journal = {Psychometrika},
  volume = {31},
  number = {1},
  pages = {1--10},
  year = {1966}
}""",
    "Li et al. 2016": r"""@inproceedings{li2016convergent,
  title = {Convergent Learning: Do Different Neural Networks Learn the Same Representations?},
  author = {Li, Yixuan and Yosinski, Jason and Clune, Jeff and Lipson, Hod and Hopcroft, John},
  booktitle = {International Conference on Learning Representations},
  year = {2016}
}""",
    "Khosla and Williams 2024": r"""@inproceedings{khosla2024soft,
  title = {Soft Matching Distance: A Metric on Neural Representations That Captures Single-Neuron
    Tuning},
  author = {Khosla, Meenakshi and Williams, Alex H.},
  booktitle = {Proceedings of UniReps: the First Workshop on Unifying Representations in Neural
    Models},
  series = {Proceedings of Machine Learning Research},
  volume = {243},
  pages = {133--143},
  year = {2024}
}""",
    "Yamins et al. 2014": r"""@article{yamins2014performance,
  title = {Performance-Optimized Hierarchical Models Predict Neural Responses in Higher Visual
    Cortex},
  author = {Yamins, Daniel L. K. and Hong, Ha and Cadieu, Charles F. and Solomon, Ethan A. and
    Seibert, Darren and DiCarlo, James J.},
  journal = {Proceedings of the National Academy of Sciences},
  volume = {111},
  number = {23},
  pages = {8619--8624},
  year = {2014}
}""",
    "lucid": r"""@misc{lucid,
  title = {Lucid: A Collection of Infrastructure and Tools for Research in Neural Network
    Interpretability},
  author = {{The TensorFlow Lucid Authors}},
  howpublished = {https://github.com/tensorflow/lucid}
}""",
}


def bibtex(paper: str) -> str:
    """The papers that a measure names in its `paper`; empty where none of them is known here.

    Parameters
    ----------
    paper : str

    Returns
    -------
    str
    """
    return "\n\n".join(entry for name, entry in _ENTRIES.items() if name in paper)
