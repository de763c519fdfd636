import { defineWords } from "../shared/words";

/** Words of the log's panel, which come with it. What was done (`did_…`) is in the console's own words. */
export const logWords = defineWords(
  {
    empty: "Nothing has been done yet.",
    empty_hint: "Every action in this console is written here, with who and what.",
    search: "Search: action, person, target",
    take: "Take the whole log",
    none_found: "Nothing found.",
    by: "Done by",
    source_any: "Done by: any",
    source_key: "key",
    source_mouse: "mouse",
    source_touch: "touch",
    source_command: "command",
    source_api: "API",
  },
  {
    empty: "还没有操作。",
    empty_hint: "本台的每次操作都会记录在此：谁、做了什么。",
    search: "搜索：操作、人员、对象",
    take: "下载全部记录",
    none_found: "没有找到。",
    by: "方式",
    source_any: "方式：全部",
    source_key: "按键",
    source_mouse: "鼠标",
    source_touch: "触屏",
    source_command: "命令",
    source_api: "接口",
  },
);
