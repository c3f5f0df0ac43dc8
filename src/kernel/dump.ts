/**
 * The answer to a dump, datagram by datagram. What the kernel says again, byte for byte, is the very same page, and an answer of the very
 * same pages the very same one: of a host where nothing has changed not a single message is looked at.
 */
import { isSameList } from '../model/memo.ts';
import { encodeDatagram, readS32, splitMessages } from './codec.ts';

/** A datagram. */
interface Page {
  readonly bytes: Uint8Array;
  /** Of the objects in it. */
  readonly bodies: readonly Uint8Array[];
  /** The objects changed while they were listed. */
  readonly isInterrupted: boolean;
  /** With which the answer ends, 0 for all is well; null when there is more to come. */
  readonly errno: number | null;
}

interface Answer {
  readonly pages: readonly Page[];
  readonly bodies: readonly Uint8Array[];
}

/** A dump that was asked for. */
export interface Question {
  readonly sequence: number;
  readonly datagram: Buffer;
  /** The last good one. */
  answer: Answer;
}

export interface AnswerReader {
  /** Returns true with the last datagram. */
  readonly take: (datagram: Uint8Array) => boolean;
  /** The kernel has dropped a part of the answer; the rest is still to be read, since it refuses another dump before. */
  readonly overrun: () => void;
  /** `bodies`: undefined when the objects changed while they were listed, or some were dropped. */
  readonly end: () => { readonly errno: number; readonly bodies: readonly Uint8Array[] | undefined };
}

const NO_ANSWER: Answer = { pages: [], bodies: [] };

/** linux/netlink.h */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;

export function createQuestion(type: number, body: Uint8Array, sequence: number): Question {
  const datagram = encodeDatagram([{ type, flags: NLM_F_DUMP, body }], sequence);
  return { sequence, datagram, answer: NO_ANSWER };
}

export function readAnswer(question: Question): AnswerReader {
  const before = question.answer;
  const pages: Page[] = [];
  let hasOverrun = false;
  return {
    take: (datagram) => {
      const page = readPage(datagram, question.sequence, before.pages[pages.length]);
      if (page === undefined) return false;
      pages.push(page);
      return page.errno !== null;
    },
    overrun: () => {
      hasOverrun = true;
    },
    end: () => {
      const errno = pages.at(-1)?.errno ?? 0;
      const isGood = errno === 0 && !hasOverrun && !pages.some(({ isInterrupted }) => isInterrupted);
      if (!isGood) return { errno, bodies: undefined };
      if (!isSameList(pages, before.pages))
        question.answer = { pages, bodies: pages.flatMap(({ bodies }) => bodies) };
      return { errno, bodies: question.answer.bodies };
    },
  };
}

/** undefined for a datagram of another exchange. `before`: what was in its place in the last good answer. */
function readPage(datagram: Uint8Array, sequence: number, before: Page | undefined): Page | undefined {
  if (before !== undefined && Buffer.compare(before.bytes, datagram) === 0) return before;
  // A copy of what is there: the buffer has its full size, and a page is remembered.
  const bytes = new Uint8Array(datagram);
  const messages = splitMessages(bytes).filter((message) => message.sequence === sequence);
  if (messages.length === 0) return undefined;
  const bodies: Uint8Array[] = [];
  let isInterrupted = false;
  let errno: number | null = null;
  for (const { type, flags, body } of messages) {
    isInterrupted ||= (flags & NLM_F_DUMP_INTR) !== 0;
    if (type === NLMSG_ERROR || type === NLMSG_DONE) errno ??= body.length === 0 ? 0 : 0 - readS32(body);
    else bodies.push(body);
  }
  return { bytes, bodies, isInterrupted, errno };
}
