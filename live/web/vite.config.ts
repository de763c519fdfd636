import { defineConfig } from "vitest/config";

// Two pages, no inline script or style in the output: the server sends a Content-Security-Policy that would refuse them.
export default defineConfig({
  base: "/",
  build: {
    outDir: "dist",
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    cssTarget: "chrome111",
    rollupOptions: { input: { room: "room.html", console: "console.html" } },
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:8000",
      "/pictures": "http://127.0.0.1:8000",
    },
  },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"], environment: "node" },
});
