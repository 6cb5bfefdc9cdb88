// The search of a site that is read from the disk: there browsers start no worker, so its script runs in a frame.
if (location.protocol === "file:") {
  const inFrame = () => {
    window.postMessage = data => frameElement.worker.dispatchEvent(new MessageEvent("message", { data }));
    window.importScripts = async (...urls) => {
      for (const src of urls)
        await new Promise((onload, onerror) => {
          document.head.append(Object.assign(document.createElement("script"), { src, onload, onerror }));
        });
    };
  };
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const srcdoc = `<script>(${inFrame})()<\/script><script src="${new URL(url, location)}"><\/script>`;
      this.frame = Object.assign(document.createElement("iframe"), { srcdoc, hidden: true, worker: this });
      this.loaded = new Promise(onload => Object.assign(this.frame, { onload }));
      document.body.append(this.frame);
    }
    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
