import { defineWords } from "../shared/words";

/** Words of the sheets for new items, which come with them. */
export const words = defineWords(
  {
    item_title: "Name",
    item_title_zh: "Chinese name (may be left out)",
    item_price: "Price",
    item_stock: "Units on the shelf",
    item_add: "Add to the run",
    item_adding: "Adding…",
    item_bad: "Name, a price above 0, and a whole number of units.",
    csv_choose: "Choose a file",
    csv_paste: "or paste its text here",
    csv_format: "First line: title,price,stock – and if you like title_zh, variant, variant_zh, currency, picture, script, minute. Rows of one title are its variants; script (at most 4,000 characters) and minute stand in its first. Read again, prices and scripts change and stock stays. All rows or none.",
    csv_export: "Take this run of show as a file",
    csv_too_long: "The file is too long: at most {n} characters.",
    csv_read: "{n} rows",
    csv_import: "Import",
    csv_importing: "Importing…",
    csv_row: "Row",
    csv_column: "Column",
    csv_wrong: "What is wrong",
  },
  {
    item_title: "名称",
    item_title_zh: "中文名称（可不填）",
    item_price: "价格",
    item_stock: "库存件数",
    item_add: "加入节目单",
    item_adding: "正在添加…",
    item_bad: "请填写名称、大于 0 的价格和整数库存。",
    csv_choose: "选择文件",
    csv_paste: "或在此粘贴内容",
    csv_format: "首行：title,price,stock，可加 title_zh、variant、variant_zh、currency、picture、script、minute。同一 title 的各行是它的规格，script（最多 4000 字）和 minute 写在第一行。再次导入会更新价格和讲稿，库存不变。要么全部导入，要么都不导入。",
    csv_export: "导出当前节目单",
    csv_too_long: "文件太长：最多 {n} 个字符。",
    csv_read: "{n} 行",
    csv_import: "导入",
    csv_importing: "正在导入…",
    csv_row: "行",
    csv_column: "列",
    csv_wrong: "问题",
  },
);

export const t = words.t;
