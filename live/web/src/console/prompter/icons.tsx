import { icon } from "../../shared/icons";

export const ExpandIcon = icon(<path d="M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15" />);
export const WindowIcon = icon(<path d="M13.5 4.5h6v6M19.5 4.5l-8 8M10 6H6a1.5 1.5 0 0 0-1.5 1.5V18A1.5 1.5 0 0 0 6 19.5h10.5A1.5 1.5 0 0 0 18 18v-4" />);
export const MirrorIcon = icon(<path d="M12 4v16M9 7.5 3.5 17H9zM15 7.5 20.5 17H15z" />);
