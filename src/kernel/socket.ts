/**
 * A rtnetlink socket: whole dumps, and batches of changes in one send. The only importer of `netlink`, and of that package
 * only its raw layer.
 *
 * - One exchange at a time: the kernel refuses a second dump on a socket while one is under way (EBUSY). Callers need not know.
 * - Answers are matched by sequence number, so what comes late from an exchange that was given up is ignored. A dump that is asked for
 *   again has the number that it had, so that the same objects are the same bytes (dump.ts); no number outlives an exchange that was given up.
 * - The event loop is kept alive only while an answer is awaited.
 */
import { constants, endianness } from 'node:os';
import { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { AgentError, errorMessage } from '../errors.ts';
import { answersIn, SEND_BYTES, splitBatches } from './batches.ts';
import { encodeDatagram, type KernelMessage, type KernelRequest, readS32, splitMessages } from './codec.ts';
import { createQuestion, type Question, readAnswer } from './dump.ts';

export type KernelAnswer = { readonly body: Uint8Array } | { readonly errno: number };

export interface Rtnetlink {
  /** What the kernel calls this socket: in the notification of a change, who made it. */
  readonly port: number;
  /**
   * All objects of a kind: the bodies of the answers, the very same list when the kernel has said the very same. Several dumps may
   * be asked for at once.
   * Throws AgentError `answer-lost` (an error of the kernel, no consistent answer, no answer in time).
   */
  dump(messageType: number, body: Uint8Array): Promise<readonly Uint8Array[]>;
  /**
   * Makes the changes in their order, each whether or not those before it failed; answers an errno for each, 0 for done.
   * Throws AgentError `answer-lost`: then what was done is unknown.
   */
  transact(requests: readonly KernelRequest[]): Promise<readonly number[]>;
  /** One question with one answer: an object, or the errno with which the kernel refuses. Throws AgentError `answer-lost`. */
  ask(request: KernelRequest): Promise<KernelAnswer>;
  /** Gives up what is under way. The socket can't be used again. */
  close(): void;
}

/** linux/netlink.h */
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
const NLMSG_ERROR = 2;
const NLM_F_ACK = 0x04;

/** The kernel makes the datagrams of a list as large as the reader's buffer, and never larger than this (netlink_recvmsg). */
const DATAGRAM_BYTES = 32 * 1024;
/** Asked for; the kernel grants at most twice net.core.rmem_max, 416 KiB by default. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
const ANSWER_DEADLINE_MS = 5_000;
/** Dumps of a table that somebody is rewriting, and questions whose answer is lost. */
const ATTEMPTS = 8;

/** An exchange that awaits answers. */
interface Pending {
  /** Returns true with the last datagram of the answer. */
  readonly take: (datagram: Uint8Array) => boolean;
  /** The kernel has dropped answers for want of memory. */
  readonly onOverrun: (error: Error) => void;
  readonly settle: (error?: AgentError) => void;
  answers: number;
}

/** Throws AgentError `kernel-unavailable` when there is no socket to be had. */
export function openRtnetlink(): Rtnetlink {
  return new RtnetlinkSocket(openRawSocket(NETLINK_ROUTE));
}

/** The same conversation with the firewall, of which we only read. Throws AgentError `kernel-unavailable`. */
export function openNetfilter(): Pick<Rtnetlink, 'dump' | 'close'> {
  return new RtnetlinkSocket(openRawSocket(NETLINK_NETFILTER));
}

function openRawSocket(protocol: number): RawNetlinkSocket {
  if (endianness() !== 'LE') throw unavailable('this is a big-endian machine; those are not supported');
  try {
    return new RawNetlinkSocket(protocol, {
      messagePeeking: false,
      msgBufferSize: DATAGRAM_BYTES,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      sendBufferSize: 2 * SEND_BYTES,
    });
  } catch (cause) {
    throw unavailable(`${errorMessage(cause)}; a sandbox has to allow AF_NETLINK`, cause);
  }
}

class RtnetlinkSocket implements Rtnetlink {
  readonly port: number;
  readonly #socket: RawNetlinkSocket;
  readonly #batchRequests: number;
  #pending: Pending | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #questions = new Map<string, Question>();
  #sequence = 0;
  #closed = false;

  constructor(socket: RawNetlinkSocket) {
    this.#socket = socket;
    this.port = socket.address().port;
    this.#batchRequests = answersIn(socket.getRecvBufferSize());
    socket.unref();
    socket.on('message', (datagram, sender) => {
      if (sender.port === 0) this.#receive(datagram);
    });
    socket.on('truncatedMessage', (_datagram, { truncated }) =>
      this.#fail(`an answer of ${truncated} bytes, where ${DATAGRAM_BYTES} were expected at most`),
    );
    socket.on('error', (error) => {
      if (isOverrun(error)) this.#pending?.onOverrun(error);
      else this.#fail(error.message, error);
    });
  }

  dump(messageType: number, body: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#alone(async () => {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        const bodies = await this.#dumpOnce(messageType, body);
        if (bodies !== undefined) return bodies;
      }
      throw lost(`the objects of dump ${messageType} changed during each of ${ATTEMPTS} attempts`);
    });
  }

  transact(requests: readonly KernelRequest[]): Promise<readonly number[]> {
    return this.#alone(async () => {
      const errnos: number[] = [];
      for (const batch of splitBatches(requests, this.#batchRequests))
        errnos.push(...(await this.#transactBatch(batch)));
      return errnos;
    });
  }

  ask(request: KernelRequest): Promise<KernelAnswer> {
    return this.#alone(async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await this.#askOnce(request);
        } catch (error) {
          if (attempt === ATTEMPTS || !(error instanceof AgentError) || !isOverrun(error.cause)) throw error;
        }
      }
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending?.settle(lost('the socket was closed'));
    // Not at once: the caller may run inside of the package's receive loop, which goes on with what close() frees.
    setImmediate(() => this.#socket.close());
  }

  /** Runs one exchange after the other. */
  #alone<Result>(exchange: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(exchange);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #askOnce(request: KernelRequest): Promise<KernelAnswer> {
    const answers: KernelAnswer[] = [];
    await this.#converse([request], ({ type, body }) => {
      answers.push(type === NLMSG_ERROR ? { errno: 0 - readS32(body) } : { body });
      return true;
    });
    const [answer] = answers;
    if (answer === undefined) throw lost(`no answer to question ${request.type}`);
    return answer;
  }

  /** undefined when the objects changed meanwhile. */
  async #dumpOnce(messageType: number, body: Uint8Array): Promise<readonly Uint8Array[] | undefined> {
    const question = this.#questionOf(messageType, body);
    const reader = readAnswer(question);
    await this.#exchange(question.datagram, reader.take, reader.overrun);
    const { errno, bodies } = reader.end();
    // A kernel without a family (ipv6.disable=1) has no objects of it.
    if (errno === constants.errno.EAFNOSUPPORT || errno === constants.errno.EOPNOTSUPP) return [];
    if (errno !== 0) throw lost(`dump ${messageType} failed with errno ${errno}`);
    return bodies;
  }

  /** With the number and the answer that it had last. */
  #questionOf(messageType: number, body: Uint8Array): Question {
    const key = `${messageType} ${Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')}`;
    const known = this.#questions.get(key);
    if (known !== undefined) return known;
    const question = createQuestion(messageType, body, this.#takeSequence(1));
    this.#questions.set(key, question);
    return question;
  }

  /** The last request alone asks for an acknowledgement: the kernel answers every failure anyway, and works in order. */
  async #transactBatch(batch: readonly KernelRequest[]): Promise<number[]> {
    const errnos = batch.map(() => 0);
    const last = batch.length - 1;
    const requests = batch.map((request, index) =>
      index === last ? { ...request, flags: request.flags | NLM_F_ACK } : request,
    );
    await this.#converse(requests, ({ type, body }, index) => {
      if (type !== NLMSG_ERROR) return false;
      errnos[index] = 0 - readS32(body);
      return index === last;
    });
    return errnos;
  }

  /** Sends the requests and hands every answer to `take`, with the index of its request, until that returns true. */
  #converse(
    requests: readonly KernelRequest[],
    take: (message: KernelMessage, index: number) => boolean,
  ): Promise<void> {
    const first = this.#takeSequence(requests.length);
    return this.#exchange(encodeDatagram(requests, first), (datagram) =>
      splitMessages(datagram).some((message) => {
        const index = (message.sequence - first) >>> 0;
        return index < requests.length && take(message, index);
      }),
    );
  }

  /** The first of so many. */
  #takeSequence(count: number): number {
    const first = this.#sequence;
    this.#sequence = (first + count) >>> 0;
    return first;
  }

  /** Sends a datagram and hands every one that comes to `take`, until that returns true. */
  #exchange(
    datagram: Buffer,
    take: Pending['take'],
    onOverrun = (error: Error): void => this.#fail(error.message, error),
  ): Promise<void> {
    if (this.#closed) return Promise.reject(lost('the socket is closed'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#checkProgress(timer), ANSWER_DEADLINE_MS);
      this.#pending = {
        take,
        onOverrun,
        settle: (error) => {
          clearTimeout(timer);
          this.#pending = null;
          this.#socket.unref();
          if (error === undefined) resolve();
          else reject(error);
        },
        answers: 0,
      };
      this.#send(datagram);
    });
  }

  #send(datagram: Buffer): void {
    try {
      this.#socket.ref();
      this.#socket.send(datagram, {}, (error) => {
        if (error !== undefined) this.#fail(error.message, error);
      });
    } catch (cause) {
      this.#fail(errorMessage(cause), cause);
    }
  }

  #receive(datagram: Uint8Array): void {
    const pending = this.#pending;
    if (pending === null) return;
    pending.answers += 1;
    try {
      if (pending.take(datagram)) pending.settle();
    } catch (cause) {
      this.#fail(errorMessage(cause), cause);
    }
  }

  /**
   * The deadline is over. A send works inside of the system call, where it may have waited for the kernel's lock longer than the
   * deadline: timers run first then, so what has arrived is read before the exchange is given up.
   */
  #checkProgress(timer: NodeJS.Timeout): void {
    const pending = this.#pending;
    const answers = pending?.answers;
    setImmediate(() => {
      if (pending === null || this.#pending !== pending) return;
      if (pending.answers === answers) this.#fail(`no answer within ${ANSWER_DEADLINE_MS} ms`);
      else timer.refresh();
    });
  }

  #fail(problem: string, cause?: unknown): void {
    this.#questions.clear();
    this.#pending?.settle(lost(problem, cause));
  }
}

function unavailable(problem: string, cause?: unknown): AgentError {
  return new AgentError('kernel-unavailable', `opening a rtnetlink socket: ${problem}`, { cause });
}

/** The receive buffer was full, or there was no memory for a message. */
function isOverrun(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOBUFS';
}

function lost(problem: string, cause?: unknown): AgentError {
  return new AgentError('answer-lost', `talking to the kernel over rtnetlink: ${problem}`, { cause });
}
