import { defineConfig } from "vite";

// The page is embedded in the murmur binary, so the build goes where node/shim embeds it.
// Paths are relative to the site's root: the shim serves the page at / and the rest at /assets/.
export default defineConfig({
  base: "/",
  build: {
    outDir: "../shim/page/built",
    emptyOutDir: true,
    target: "es2022",
    // Nothing inline: the shim's Content-Security-Policy allows neither inline scripts nor data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
  },
  test: { environment: "node", include: ["test/**/*.test.ts"], css: true },
});
