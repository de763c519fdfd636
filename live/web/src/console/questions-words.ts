import { defineWords } from "../shared/words";

export const questionsWords = defineWords(
  {
    empty: "No questions yet.",
    empty_hint: "Comments that ask something are kept here until somebody has answered them.",
    waiting: "{n} wait for an answer",
    none_waiting: "All answered",
    answered: "Answered",
    mark: "Mark as answered",
    unmark: "Not answered yet",
    reply: "Reply",
  },
  {
    empty: "还没有提问。",
    empty_hint: "带有问题的评论会留在这里，直到有人回答。",
    waiting: "{n} 个问题待回答",
    none_waiting: "都已回答",
    answered: "已回答",
    mark: "标为已回答",
    unmark: "标为未回答",
    reply: "回复",
  },
);
