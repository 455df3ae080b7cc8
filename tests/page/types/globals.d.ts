// What uPlot's own script leaves behind.
interface Window {
  uPlot: any;
}
