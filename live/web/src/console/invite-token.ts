/** The token of an invitation in this page's address; after the #, so that no server's log has it. */
export function inviteToken(): string | null {
  return /^#invite=([A-Za-z0-9_-]{20,60})$/.exec(location.hash)?.[1] ?? null;
}
