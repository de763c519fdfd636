/** Notifications of the browser, for a page that is not in sight. */

/** Within the tap itself: browsers allow the question nowhere else, and we ask it nowhere else. */
export function askForNotifications(): void {
  if (typeof Notification !== "undefined" && Notification.permission === "default") void Notification.requestPermission();
}

export function notify(text: string, tag: string, onClick: () => void): void {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  try {
    const shown = new Notification(text, { tag }); // the same of two tabs is one, by its tag
    shown.onclick = () => {
      window.focus();
      shown.close();
      onClick();
    };
  } catch (error) {
    // Chrome on Android has them for service workers alone. The banner is there when the viewer comes back.
    if (!(error instanceof TypeError)) throw error;
  }
}
