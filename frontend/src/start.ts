import { mount } from 'svelte';
import { httpSource } from './api/http';
import { workerPlacer } from './layout/client';
import App from './App.svelte';
import { markBroken } from './ui/broken';
import './ui/theme.css';

export function start(target: HTMLElement): void {
  document.title = 'Model Compare';
  document.documentElement.lang = 'en';
  markBroken(document);
  mount(App, { target, props: { source: httpSource, place: workerPlacer() } });
}
