// Ends this process (SIGTERM, so that it shuts down in order) when its parent is gone, however the parent died.
/** Milliseconds between two looks. */
const LOOK = 500;

const parent = process.ppid;
const timer = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(timer);
  process.kill(process.pid, 'SIGTERM');
}, LOOK);
timer.unref();
