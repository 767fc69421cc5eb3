/**
 * The tab in a file of its own: `tb-modelcompare report` writes this bundle and its style sheet
 * into a page, beside an element `<script type="application/json" id="modelcompare-data">`.
 */
import { mount } from 'svelte';
import { staticSource, type ReportData } from './api/static';
import { arrange } from './layout/arrange';
import App from './App.svelte';
import './ui/theme.css';

const data = JSON.parse(
  document.getElementById('modelcompare-data')?.textContent ?? '',
) as ReportData;

// Fonts of the reader's system, which a file has to do with, have few weights.
document.documentElement.style.setProperty('--medium', '600');

mount(App, {
  target: document.body,
  // A file has no worker to load: the layout runs here.
  props: { source: staticSource(data), place: async (request) => arrange(request) },
});
