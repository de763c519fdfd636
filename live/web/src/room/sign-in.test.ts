import { expect, test } from "vitest";
import { problemOf } from "./sign-in";

const FILLED = { name: "Ann", email: "ann@example.com", password: "correct horse", totp: "" };

test("a guest needs a name, and nothing else", () => {
  expect(problemOf("guest", { ...FILLED, email: "", password: "" })).toBeNull();
  expect(problemOf("guest", { ...FILLED, name: "  " })).toBe("nickname_bad");
  expect(problemOf("guest", { ...FILLED, name: "好".repeat(25) })).toBe("nickname_bad");
});

test("an account needs an address and a password that is long enough", () => {
  expect(problemOf("new_account", FILLED)).toBeNull();
  expect(problemOf("new_account", { ...FILLED, email: "ann" })).toBe("email_bad");
  expect(problemOf("new_account", { ...FILLED, password: "short" })).toBe("password_short");
  expect(problemOf("sign_in", { ...FILLED, name: "", password: "short" })).toBeNull();
  expect(problemOf("sign_in", { ...FILLED, password: "" })).toBe("password_missing");
});
