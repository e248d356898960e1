// Search of a site that is opened from its files, where browsers refuse workers: the worker's
// script runs in a hidden frame of the same page instead.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      const script = document.createElement("script")
      script.src = url
      this.ready = new Promise((resolve) => {
        frame.onload = () => {
          const inner = frame.contentWindow
          inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", {data}))
          script.onload = () => resolve(inner)
          frame.onload = null
          inner.document.head.append(script)
        }
      })
      document.documentElement.append(frame)
    }
    postMessage(data) {
      this.ready.then((inner) => inner.dispatchEvent(new MessageEvent("message", {data})))
    }
  }
