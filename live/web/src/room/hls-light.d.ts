// hls.js has no types for its light build, which is the same with less in it.
declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}
