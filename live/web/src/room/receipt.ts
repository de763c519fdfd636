/** Checks a receipt of the allocation log in the browser, with nothing but the receipt: the same mathematics as commerce/log_chain.py. */

export interface Receipt {
  format: string;
  sale_id: string;
  root: string;
  position: number;
  first_position: number;
  before: string;
  lines: string[];
  path: [string, string][];
}

const FORMAT = "flashroom receipt 1";
const GENESIS = "flashroom allocation log 1";
const SEGMENT = 64;

/** Whether the entry belongs to the log with the receipt's root. */
export async function proves(receipt: Receipt): Promise<boolean> {
  const at = receipt.position - receipt.first_position;
  if (receipt.format !== FORMAT || at < 0 || at >= receipt.lines.length || receipt.lines.length > SEGMENT) return false;
  if (receipt.first_position === 1 && receipt.before !== (await sha256(`${GENESIS}\n${receipt.sale_id}\n`))) return false;
  let chain = receipt.before;
  for (const line of receipt.lines) chain = await sha256(`${chain}\n${line}`);
  let node = await sha256(`leaf ${chain}`);
  for (const [side, sibling] of receipt.path) {
    node = await sha256(side === "left" ? `node ${sibling} ${node}` : `node ${node} ${sibling}`);
  }
  return node === receipt.root;
}

async function sha256(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
