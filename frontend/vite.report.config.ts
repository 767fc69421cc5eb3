import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { licences } from './licences.ts';

// One script and one style sheet, without imports, for `tb-modelcompare report` to inline.
export default defineConfig({
  plugins: [svelte(), licences({ inside: true }).main],
  build: {
    outDir: '../tb_modelcompare/static/report',
    emptyOutDir: true,
    target: 'es2024',
    lib: {
      entry: 'src/report.ts',
      formats: ['iife'],
      name: 'modelcompare',
      fileName: () => 'report.js',
      cssFileName: 'report',
    },
  },
});
