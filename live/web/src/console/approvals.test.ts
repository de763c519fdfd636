import { describe, expect, it } from "vitest";
import type { RoomStore } from "../shared/room-store";
import { type Approval, Approvals, type ApprovalState } from "./approvals";
import type { ActionRunner } from "./runner";

let nowMs = 1_000;

function approvals(...list: Approval[]): Approvals {
  const store = { serverNow: () => nowMs } as RoomStore;
  const made = new Approvals((rest) => rest, "us_me", store, {} as ActionRunner, () => undefined);
  made.list.value = list;
  return made;
}

function approval(approval_id: string, state: ApprovalState, asker: string, more: Partial<Approval> = {}): Approval {
  return {
    approval_id,
    action: "order_refund",
    target: "or_1",
    amount_minor: 5000,
    currency: "CNY",
    params: {},
    outcome: {},
    state,
    problem: null,
    asker: { user_id: asker, name: asker },
    asked_at_ms: 0,
    ends_at_ms: 2_000,
    answerer: null,
    answered_at_ms: null,
    may_answer: false,
    ...more,
  };
}

describe("what waits for a second person", () => {
  it("shows me my request that waits, and its outcome until I put it away", () => {
    const declined = approval("ap_1", "declined", "us_me");
    expect(approvals(approval("ap_2", "asked", "us_me"), declined).mine("or_1")?.approval_id).toBe("ap_2");
    const made = approvals(declined);
    expect(made.mine("or_1")?.approval_id).toBe("ap_1");
    expect(made.mine("or_2")).toBeNull();
    made.dismiss(declined);
    expect(made.mine("or_1")).toBeNull();
  });

  it("shows neither others' requests nor what I withdrew as mine", () => {
    expect(approvals(approval("ap_1", "asked", "us_bo")).mine("or_1")).toBeNull();
    expect(approvals(approval("ap_1", "withdrawn", "us_me")).mine("or_1")).toBeNull();
  });

  it("lists what I may answer, oldest first", () => {
    const made = approvals(approval("ap_2", "asked", "us_bo", { may_answer: true }), approval("ap_1", "asked", "us_bo", { may_answer: true }), approval("ap_0", "asked", "us_me"));
    expect(made.toAnswer.value.map((one) => one.approval_id)).toEqual(["ap_1", "ap_2"]);
  });

  it("is over by the server's clock, whether or not anybody told", () => {
    const one = approval("ap_1", "asked", "us_me");
    nowMs = 1_999;
    expect(approvals().stateOf(one)).toBe("asked");
    nowMs = 2_000;
    expect(approvals().stateOf(one)).toBe("expired");
    expect(approvals().stateOf({ ...one, state: "done" })).toBe("done");
  });

  it("counts whole seconds until money may move again", () => {
    const made = approvals();
    nowMs = 1_000;
    expect(made.coolingSeconds()).toBe(0);
    made.coolingUntilMs.value = 3_500;
    expect(made.coolingSeconds()).toBe(3);
    nowMs = 3_500;
    expect(made.coolingSeconds()).toBe(0);
  });
});
