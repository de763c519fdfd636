import { defineWords } from "../shared/words";

/** Words of who works in a room and who is asked to, which come with that. */
export const words = defineWords(
  {
    person_email: "E-mail address",
    person_role: "Role",
    person_add: "Add",
    person_remove: "Take the role away",
    person_me: "you",
    person_at_desk: "at the desk",
    invites: "Invited, not come yet",
    invite: "Invitation",
    invite_until: "{role}, until {time}",
    invite_withdraw: "Withdraw the invitation",
    invite_made: "{email} has no account yet. Send this link; it works once and for a week, and is shown only now.",
    invite_copy: "Copy the link",
    invite_copied: "Copied",
    invite_title: "You are invited to {room}",
    invite_for: "{email}, as {role}. Choose a name and a password.",
    invite_name: "Your name, as the others see it",
    invite_password: "Password, at least {n} characters",
    invite_fields: "A name, and a password of at least {n} characters.",
    invite_accept: "Make my account",
  },
  {
    person_email: "邮箱",
    person_role: "角色",
    person_add: "添加",
    person_remove: "收回角色",
    person_me: "您",
    person_at_desk: "在操作台",
    invites: "已邀请，尚未加入",
    invite: "邀请",
    invite_until: "{role}，有效至 {time}",
    invite_withdraw: "撤回邀请",
    invite_made: "{email} 还没有账号。请发送此链接：仅可使用一次，一周内有效，只在此时显示。",
    invite_copy: "复制链接",
    invite_copied: "已复制",
    invite_title: "邀请您加入 {room}",
    invite_for: "{email}，角色：{role}。请设置名字和密码。",
    invite_name: "您的名字（他人可见）",
    invite_password: "密码，至少 {n} 个字符",
    invite_fields: "请填写名字和至少 {n} 个字符的密码。",
    invite_accept: "创建账号",
  },
);

export const t = words.t;
