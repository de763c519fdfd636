/** Icons drawn by the project: one stroke weight, 24-unit box, the colour of the text around them. */

import type { ComponentChildren } from "preact";

export interface IconProps {
  size?: number;
  class?: string;
}

/** A drawing as an icon. Those of one late part are drawn there. */
export function icon(children: ComponentChildren, solid = false) {
  return function Icon({ size = 22, class: extra = "" }: IconProps) {
    return (
      <svg
        class={`icon ${extra}`}
        width={size}
        height={size}
        viewBox="0 0 24 24"
        fill={solid ? "currentColor" : "none"}
        stroke={solid ? "none" : "currentColor"}
        stroke-width="1.9"
        stroke-linecap="round"
        stroke-linejoin="round"
        aria-hidden="true"
        focusable="false"
      >
        {children}
      </svg>
    );
  };
}

export const BoltIcon = icon(<path d="M13.6 2 4.5 13.6h5.8L8.9 22l9.6-12.2h-6.1z" />, true);
export const BagIcon = icon(
  <>
    <path d="M5.2 8h13.6l1 11.2a1.7 1.7 0 0 1-1.7 1.8H5.9a1.7 1.7 0 0 1-1.7-1.8z" />
    <path d="M8.5 10.5V7a3.5 3.5 0 0 1 7 0v3.5" />
  </>,
);
export const HeartIcon = icon(
  <path d="M12 20.6S3.4 15.8 3.4 9.5A4.7 4.7 0 0 1 12 6.9a4.7 4.7 0 0 1 8.6 2.6c0 6.3-8.6 11.1-8.6 11.1z" />,
  true,
);
export const ChatIcon = icon(<path d="M4 5h16v11.5H10.5L6 20.5v-4H4z" />);
export const SendIcon = icon(<path d="M3.5 11.5 20.5 4l-5 16.5-3.6-6.6zm8.4 2.4L20.5 4" />);
export const ClockIcon = icon(
  <>
    <circle cx="12" cy="12" r="8.6" />
    <path d="M12 7.2V12l3.2 2" />
  </>,
);
export const CheckIcon = icon(<path d="m4.8 12.6 4.7 4.7L19.4 7" />);
export const CloseIcon = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const PlusIcon = icon(<path d="M12 5v14M5 12h14" />);
export const MinusIcon = icon(<path d="M5 12h14" />);
export const ChevronIcon = icon(<path d="m9 5.5 6.5 6.5L9 18.5" />);
export const UserIcon = icon(
  <>
    <circle cx="12" cy="8.2" r="3.9" />
    <path d="M4.4 20.4c.7-4 3.6-6 7.6-6s6.9 2 7.6 6" />
  </>,
);
export const UsersIcon = icon(
  <>
    <circle cx="9.2" cy="8.5" r="3.5" />
    <path d="M2.6 19.8c.5-3.7 3-5.6 6.6-5.6s6.1 1.9 6.6 5.6M16 5.4a3.3 3.3 0 0 1 0 6.3M18 14.8c1.9.7 3 2.3 3.4 4.7" />
  </>,
);
export const ShieldIcon = icon(<path d="M12 3 4.8 5.8v5.6c0 4.6 3 7.8 7.2 9.6 4.2-1.8 7.2-5 7.2-9.6V5.8zm-3 9 2.2 2.2L15.2 10" />);
export const ReceiptIcon = icon(
  <>
    <path d="M5.5 3.5h13v17l-2.2-1.6-2.1 1.6-2.2-1.6-2.2 1.6-2.1-1.6-2.2 1.6z" />
    <path d="M9 8.5h6M9 12.5h6" />
  </>,
);
export const GlobeIcon = icon(
  <>
    <circle cx="12" cy="12" r="8.6" />
    <path d="M3.4 12h17.2M12 3.4c2.5 2.6 3.5 5.5 3.5 8.6s-1 6-3.5 8.6c-2.5-2.6-3.5-5.5-3.5-8.6s1-6 3.5-8.6z" />
  </>,
);
export const CardIcon = icon(
  <>
    <rect x="3" y="5.5" width="18" height="13" rx="2.2" />
    <path d="M3 10h18M6.5 15h4" />
  </>,
);
export const PinIcon = icon(<path d="M9 3.5h6l-.8 6 3.3 3.5H6.5l3.3-3.5zM12 13v7.5" />);
export const PlayIcon = icon(<path d="M7 4.5v15l12.5-7.5z" />, true);
export const PauseIcon = icon(<path d="M7 4.5h3.6v15H7zM13.4 4.5H17v15h-3.6z" />, true);
export const MuteIcon = icon(<path d="M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM16 9.5l5 5M21 9.5l-5 5" />);
export const SoundIcon = icon(<path d="M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11" />);
export const TrashIcon = icon(<path d="M4.5 6.5h15M9 6.5V4h6v2.5M6.5 6.5l.8 14h9.4l.8-14M10.3 10.5v6M13.7 10.5v6" />);
export const UndoIcon = icon(<path d="M8.5 5 4 9.5 8.5 14M4 9.5h10a5.5 5.5 0 0 1 0 11h-3" />);
export const SearchIcon = icon(
  <>
    <circle cx="10.8" cy="10.8" r="6.3" />
    <path d="m15.5 15.5 5 5" />
  </>,
);
export const WarningIcon = icon(<path d="M12 3.8 2.6 20h18.8zM12 10v4.6M12 17.3v.1" />);
export const InfoIcon = icon(
  <>
    <circle cx="12" cy="12" r="8.6" />
    <path d="M12 11v5M12 7.9v.1" />
  </>,
);
export const OfflineIcon = icon(<path d="M3 3l18 18M8.6 14.6a5 5 0 0 1 6.3-.2M5.3 11.3a9.6 9.6 0 0 1 4-2.4M2.5 8.2a14 14 0 0 1 3.7-2.4M12.5 8.5a9.6 9.6 0 0 1 6.2 2.8M10.5 4.9a14 14 0 0 1 11 3.3M12 18.6v.1" />);
export const LockIcon = icon(
  <>
    <rect x="5" y="10.5" width="14" height="10" rx="2" />
    <path d="M8 10.5V7.5a4 4 0 0 1 8 0v3" />
  </>,
);
export const BoxIcon = icon(<path d="M12 3 3.8 7.2v9.6L12 21l8.2-4.2V7.2zM3.8 7.2 12 11.5l8.2-4.3M12 11.5V21" />);
export const KeyboardIcon = icon(
  <>
    <rect x="2.5" y="6" width="19" height="12.5" rx="2.2" />
    <path d="M6.5 10h.1M10 10h.1M13.7 10h.1M17.3 10h.1M8 14.5h8" />
  </>,
);
export const FlagIcon = icon(<path d="M5.5 21V4M5.5 4.5c4-2.5 8 2.5 13 0v9c-5 2.5-9-2.5-13 0" />);
export const MegaphoneIcon = icon(<path d="M4 10v4l2.5.5L8 20h2.5L9.5 15l9.5 3.5v-13L6.5 9.5z" />);
export const SettingsIcon = icon(
  <>
    <path d="M4 7h9M17.5 7H20M4 17h2.5M11 17h9" />
    <circle cx="15.2" cy="7" r="2.2" />
    <circle cx="8.8" cy="17" r="2.2" />
  </>,
);
export const GripIcon = icon(
  <>
    <circle cx="9" cy="6" r="1.6" />
    <circle cx="15" cy="6" r="1.6" />
    <circle cx="9" cy="12" r="1.6" />
    <circle cx="15" cy="12" r="1.6" />
    <circle cx="9" cy="18" r="1.6" />
    <circle cx="15" cy="18" r="1.6" />
  </>,
  true,
);
export const ReplyIcon = icon(<path d="M9.5 5.5 4 11l5.5 5.5M4.5 11H14c3.6 0 6 2.2 6 6.5" />);
export const ShareIcon = icon(
  <>
    <circle cx="6.5" cy="12" r="2.4" />
    <circle cx="17" cy="6" r="2.4" />
    <circle cx="17" cy="18" r="2.4" />
    <path d="m8.7 10.8 6.2-3.5M8.7 13.2l6.2 3.5" />
  </>,
);
export const LinkIcon = icon(<path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1.2 1.2M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1.2-1.2" />);
export const CalendarIcon = icon(
  <>
    <rect x="4" y="5.5" width="16" height="14.5" rx="2.5" />
    <path d="M4 10h16M8.5 3.5v4M15.5 3.5v4" />
  </>,
);
const CAPTIONS_FRAME = <rect x="3" y="5.5" width="18" height="13" rx="2.5" />;
export const CaptionsIcon = icon(
  <>
    {CAPTIONS_FRAME}
    <path d="M10.6 10.4a2.2 2.2 0 1 0 0 3.2M17 10.4a2.2 2.2 0 1 0 0 3.2" />
  </>,
);
export const CaptionsOffIcon = icon(
  <>
    {CAPTIONS_FRAME}
    <path d="M4 21 20 3" />
  </>,
);
export const HandIcon = icon(
  <path d="M8 13V5.6a1.5 1.5 0 0 1 3 0V11m0-.6V4.2a1.5 1.5 0 0 1 3 0V11m0-.4V5.6a1.5 1.5 0 0 1 3 0V12m0-2.6a1.5 1.5 0 0 1 3 0v5.1c0 3.9-2.6 6.7-6.4 6.7-2.6 0-4.4-1.2-5.7-3.3l-3.4-5.4c-1.1-1.8 1.2-3.3 2.5-1.7L8 13.2" />,
);
export const BellIcon = icon(<path d="M12 4a5.5 5.5 0 0 0-5.5 5.5c0 5-2 6.5-2 7h15c0-.5-2-2-2-7A5.5 5.5 0 0 0 12 4zM10 19.5a2.1 2.1 0 0 0 4 0" />);
export const PencilIcon = icon(<path d="m4.5 19.5.9-4L16 4.9a1.8 1.8 0 0 1 2.6 0l.5.5a1.8 1.8 0 0 1 0 2.6L8.5 18.6zM14.2 6.7l3.1 3.1" />);
export const PrompterIcon = icon(
  <>
    <rect x="3" y="4" width="18" height="13" rx="2" />
    <path d="M7 8.5h10M7 12.5h6.5M8.5 20.5h7" />
  </>,
);
export const MutedIcon = icon(<path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9.5l5 5M20.5 9.5l-5 5" />);
