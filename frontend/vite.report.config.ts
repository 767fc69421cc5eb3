import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// One script and one style sheet, without imports, for `tb-modelcompare report` to inline.
export default defineConfig({
  plugins: [svelte()],
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
