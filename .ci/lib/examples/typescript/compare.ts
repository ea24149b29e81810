// Compiles only where the types of both generators are the same. Not compared: the type of a
// date, which quicktype takes for a Date though JSON.parse leaves it a text, that of source,
// which may be anything, and that unknown fields may be there.
import type { CheckInRequest } from "./contract/check-in-request.js";
import type { Decision } from "./contract/decision.js";
import type { Event } from "./contract/event.js";
import type { CheckInRequest as QuickCheckInRequest } from "./quicktype/check-in-request.js";
import type { Decision as QuickDecision } from "./quicktype/decision.js";
import type { Event as QuickEvent } from "./quicktype/event.js";

type Plain<T> = T extends Date ? string
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T as string extends K ? never : number extends K ? never : K extends "source" ? never : K]: Plain<T[K]> }
  : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const event: Same<Plain<Event>, Plain<QuickEvent>> = true;
export const request: Same<Plain<CheckInRequest>, Plain<QuickCheckInRequest>> = true;
export const decision: Same<Plain<Decision>, Plain<QuickDecision>> = true;
