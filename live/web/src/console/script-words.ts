import { defineWords } from "../shared/words";

/** Words of the script's sheet, which come with it. */
export const words = defineWords(
  {
    text: "What to say",
    text_hint: "[In brackets] what to do rather than say. Only those who work here see any of it.",
    minute: "Minute of the show",
    minute_hint: "From the start; may be left out",
    minute_bad: "A whole number of minutes from 0 to {most}, or nothing.",
    save: "Save",
    saving: "Saving…",
    count: "{n} of {most} characters",
    draft: "Not saved yet: this is what you typed before.",
    draft_drop: "Drop it",
    changed: "Somebody else saved this script while you wrote. Nothing is lost: yours is above, theirs below.",
    theirs: "Theirs",
    theirs_empty: "(empty)",
    keep_mine: "Save mine instead",
    take_theirs: "Take theirs",
  },
  {
    text: "讲什么",
    text_hint: "[方括号里] 写动作，不念。只有工作人员能看到。",
    minute: "第几分钟",
    minute_hint: "从开播算起，可不填",
    minute_bad: "请填 0 到 {most} 的整数分钟，或留空。",
    save: "保存",
    saving: "正在保存…",
    count: "{n} / {most} 字",
    draft: "尚未保存：这是你之前写的。",
    draft_drop: "放弃",
    changed: "你编辑时别人保存了这份讲稿。内容都在：上面是你的，下面是对方的。",
    theirs: "对方的",
    theirs_empty: "（空）",
    keep_mine: "用我的覆盖",
    take_theirs: "采用对方的",
  },
);

export const t = words.t;
