import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { licences } from './licences.ts';

// `npm run dev` shows the tab of a running TensorBoard: MODELCOMPARE_SERVER=http://localhost:6006
const server = process.env.MODELCOMPARE_SERVER ?? 'http://localhost:6006';

const notices = licences();

export default defineConfig({
  base: './',
  plugins: [svelte(), notices.main],
  worker: { format: 'es', plugins: () => [notices.worker] },
  server: {
    proxy: {
      '/data': {
        target: server,
        changeOrigin: true,
        // The plugin answers a POST only when its Origin is its own host.
        headers: { origin: server },
      },
    },
  },
  build: {
    outDir: '../tb_modelcompare/static',
    emptyOutDir: true,
    assetsDir: 'static',
    // TensorBoard's content security policy refuses data: modules, styles and workers.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2024',
    rollupOptions: {
      input: 'src/index.ts',
      // TensorBoard imports `./index.js` and calls what it exports.
      preserveEntrySignatures: 'strict',
      output: { entryFileNames: 'index.js' },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
