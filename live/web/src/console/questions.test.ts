import { describe, expect, it } from "vitest";
import type { Comment } from "../shared/types";
import { asks, MAX_QUESTIONS, Questions } from "./questions";

describe("a comment asks something", () => {
  it.each(["Does it fit a 15 inch laptop", "how long is shipping", "Size?", "这个有L码吗", "多少钱", "什么时候发货", "有没有小号", "真的？", "is it cotton"])("%s", (text) => {
    expect(asks(text)).toBe(true);
  });

  it.each(["I love it", "wow", "???", "is it", "太好看了", "好的呀", "can't wait!", "so what"])("not: %s", (text) => {
    expect(asks(text)).toBe(false);
  });
});

const comment = (id: string, text = `is this ${id}?`, role: Comment["role"] = "viewer"): Comment => ({ id, viewer_id: "gu_1", name: "Ann", role, text, at_ms: 1 });

function heard(...comments: Comment[]): Questions {
  const questions = new Questions();
  for (const one of comments) questions.hear("comment", one);
  return questions;
}

const ids = (questions: Questions): string[] => questions.sorted().map((one) => one.comment.id);

it("questions are kept, what is no question and what staff ask is not", () => {
  expect(ids(heard(comment("a"), comment("b", "nice"), comment("c", "who wants it?", "host"), comment("a")))).toEqual(["a"]);
});

it("unanswered ones come first, in the order they were asked", () => {
  const questions = heard(comment("a"), comment("b"), comment("c"));
  questions.hear("comment_answered", { id: "b", answered: true });
  questions.hear("comment_answered", { id: "a", answered: true });
  expect(ids(questions)).toEqual(["c", "a", "b"]);
  questions.hear("comment_answered", { id: "a", answered: false });
  expect(ids(questions)).toEqual(["a", "c", "b"]);
});

it("an answer of the staff marks what it answers; a viewer's doesn't", () => {
  const questions = heard(comment("a"), comment("b"));
  questions.hear("comment", { ...comment("x", "yes", "moderator"), reply_to: "a" });
  questions.hear("comment", { ...comment("y", "yes"), reply_to: "b" });
  expect(questions.sorted().map((one) => one.isAnswered)).toEqual([false, true]);
  expect(ids(questions)).toEqual(["b", "a"]);
});

it("one that is hidden is gone", () => {
  const questions = heard(comment("a"));
  questions.hear("comment_deleted", { id: "a" });
  expect(ids(questions)).toEqual([]);
});

it("they are bounded, and an answered one goes first", () => {
  const questions = heard(...Array.from({ length: MAX_QUESTIONS }, (_, n) => comment(`q${n}`)));
  questions.hear("comment_answered", { id: "q7", answered: true });
  questions.hear("comment", comment("more"));
  questions.hear("comment", comment("still more"));
  expect(ids(questions)).toHaveLength(MAX_QUESTIONS);
  expect(ids(questions)).not.toContain("q7");
  expect(ids(questions)[0]).toBe("q1");
});
