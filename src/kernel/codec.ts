/**
 * The netlink wire format: messages and attributes (linux/netlink.h). Everything is aligned to 4 bytes and in the byte order
 * of the host: little-endian, as on all machines that `netlink` is built for (x64, arm64). The bytes of a message are put together by
 * hand, since at a thousand small ones a DataView or a Buffer for each costs more than the rest. What the kernel sends is checked
 * before it is read: a length that leads out of the message is an AgentError, never a read beyond its end.
 */
import { AgentError } from '../errors.ts';

/** A message to the kernel, without its header. */
export interface KernelRequest {
  /** RTM_* */
  readonly type: number;
  /** NLM_F_*, without NLM_F_REQUEST and NLM_F_ACK, which the socket sets. */
  readonly flags: number;
  /** The fixed part and the attributes, from `encodeBody`. */
  readonly body: Uint8Array;
}

export interface KernelMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The socket that the message is an answer to, or whose request made the change that it tells of; 0 where the kernel doesn't say. */
  readonly port: number;
  /** What follows the header, in the datagram's own memory: bodies of one datagram have the same buffer. */
  readonly body: Uint8Array;
}

/** A number is a u32; an array is a nest of attributes. */
export type AttributeValue = number | Uint8Array | readonly Attribute[];
export type Attribute = readonly [type: number, value: AttributeValue];

const NLM_F_REQUEST = 0x01;
/** Of a request that makes something: replace what is there, refuse when it is there, make it when it isn't. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port. */
const MESSAGE_HEADER_BYTES = 16;
/** struct nlattr: u16 length, u16 type. */
const ATTRIBUTE_HEADER_BYTES = 4;
/** NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const U32_BYTES = 4;

/** NLMSG_ALIGN and NLA_ALIGN. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

export function malformed(what: string): AgentError {
  return new AgentError('kernel-refused', `reading an answer of the kernel: ${what}`);
}

/** The messages of one datagram. Throws AgentError `kernel-refused` when a length contradicts the datagram's. */
export function splitMessages(datagram: Uint8Array): KernelMessage[] {
  const messages: KernelMessage[] = [];
  // One for all of them: to call it costs less than to put each number together.
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  for (let offset = 0; offset < datagram.length; ) {
    const left = datagram.length - offset;
    const length = left < MESSAGE_HEADER_BYTES ? 0 : view.getUint32(offset, true);
    if (length < MESSAGE_HEADER_BYTES || length > left)
      throw malformed(`a message says it has ${length} bytes, ${left} are there`);
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      port: view.getUint32(offset + 12, true),
      body: new Uint8Array(
        datagram.buffer,
        datagram.byteOffset + offset + MESSAGE_HEADER_BYTES,
        length - MESSAGE_HEADER_BYTES,
      ),
    });
    offset += align(length);
  }
  return messages;
}

/** The bytes that a request takes in a datagram, padding included. */
export function messageBytes({ body }: KernelRequest): number {
  return align(MESSAGE_HEADER_BYTES + body.length);
}

/** The requests as one datagram, numbered from `firstSequence` on. Port 0: the kernel fills it in. */
export function encodeDatagram(requests: readonly KernelRequest[], firstSequence: number): Buffer {
  const datagram = Buffer.alloc(requests.reduce((bytes, request) => bytes + messageBytes(request), 0));
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  let offset = 0;
  for (let index = 0; index < requests.length; index += 1) {
    const request = requests[index];
    if (request === undefined) continue;
    const { type, flags, body } = request;
    view.setUint32(offset, MESSAGE_HEADER_BYTES + body.length, true);
    view.setUint16(offset + 4, type, true);
    view.setUint16(offset + 6, flags | NLM_F_REQUEST, true);
    view.setUint32(offset + 8, firstSequence + index, true);
    datagram.set(body, offset + MESSAGE_HEADER_BYTES);
    offset += align(MESSAGE_HEADER_BYTES + body.length);
  }
  return datagram;
}

/** Where a body is put together, before it is known how long it becomes: no message that goes out in one send is longer. */
const draft = new Uint8Array(64 * 1024);
const draftView = new DataView(draft.buffer);

/** The fixed part of a message, followed by its attributes. */
export function encodeBody(fixed: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  const end = writeAttributes(writeBytes(0, fixed), attributes);
  const body = new Uint8Array(end);
  // A third of the time that a slice takes.
  body.set(new Uint8Array(draft.buffer, 0, end));
  return body;
}

/** Returns the offset behind them. By index: where nothing is compiled, an iteration takes longer than what is done in it. */
function writeAttributes(start: number, attributes: readonly Attribute[]): number {
  let offset = start;
  for (let index = 0; index < attributes.length; index += 1) {
    const attribute = attributes[index];
    if (attribute === undefined) continue;
    const [type, value] = attribute;
    const valueOffset = offset + ATTRIBUTE_HEADER_BYTES;
    let end = valueOffset + U32_BYTES;
    let length = end - offset;
    if (typeof value === 'number') draftView.setUint32(valueOffset, value, true);
    else if (value instanceof Uint8Array) {
      length = ATTRIBUTE_HEADER_BYTES + value.length;
      end = writeBytes(valueOffset, value);
    } else {
      end = writeAttributes(valueOffset, value);
      length = end - offset;
    }
    draftView.setUint16(offset, length, true);
    draftView.setUint16(offset + 2, type, true);
    offset = end;
  }
  return offset;
}

/** Returns the offset behind them and their padding, which is zero. */
function writeBytes(offset: number, bytes: Uint8Array): number {
  const end = offset + align(bytes.length);
  if (end > offset) draftView.setUint32(end - U32_BYTES, 0, true);
  draft.set(bytes, offset);
  return end;
}

/** The attributes from an offset on. Throws AgentError `kernel-refused` when a length contradicts the bytes. */
export function decodeAttributes(bytes: Uint8Array, start = 0): Attributes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const types: number[] = [];
  const starts: number[] = [];
  const size = bytes.length;
  for (let offset = start; offset < size; ) {
    const left = size - offset;
    const length = left < ATTRIBUTE_HEADER_BYTES ? 0 : view.getUint16(offset, true);
    if (length < ATTRIBUTE_HEADER_BYTES || length > left)
      throw malformed(`an attribute says it has ${length} bytes, ${left} are there`);
    const type = view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK;
    types.push(type);
    starts[type] = offset + ATTRIBUTE_HEADER_BYTES;
    offset += (length + 3) & ~3;
  }
  return new Attributes(view, types, starts);
}

/**
 * Attributes, read where they lie: a list of thousands of objects has ten thousands of them, of which a few are asked for. Of a type that
 * comes twice the last counts, as in the kernel's own parser.
 */
export class Attributes {
  readonly #view: DataView;
  readonly #types: readonly number[];
  /** By type, where the value begins: nothing is searched for. */
  readonly #starts: readonly (number | undefined)[];

  constructor(view: DataView, types: readonly number[], starts: readonly (number | undefined)[]) {
    this.#view = view;
    this.#types = types;
    this.#starts = starts;
  }

  has(type: number): boolean {
    return this.#starts[type] !== undefined;
  }

  /** The value, or undefined when it is not there. */
  get(type: number): Uint8Array | undefined {
    const start = this.#starts[type];
    if (start === undefined) return undefined;
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, this.#length(start));
  }

  /** A u32, or undefined when it is not there. */
  u32(type: number): number | undefined {
    const start = this.#starts[type];
    if (start === undefined) return undefined;
    const length = this.#length(start);
    if (length < U32_BYTES) throw malformed(`${length} bytes where at least ${U32_BYTES} were expected`);
    return this.#view.getUint32(start, true);
  }

  /** Zero-terminated text, or undefined when it is not there. */
  text(type: number): string | undefined {
    const value = this.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return Buffer.from(end === -1 ? value : value.subarray(0, end)).toString('utf8');
  }

  /** Those of a nest; none when it is not there. */
  nested(type: number): Attributes {
    const nest = this.get(type);
    return nest === undefined ? NONE : decodeAttributes(nest);
  }

  /** Of all of them, in their order. */
  types(): readonly number[] {
    return this.#types;
  }

  /** By the attribute's own header. */
  #length(start: number): number {
    return this.#view.getUint16(start - ATTRIBUTE_HEADER_BYTES, true) - ATTRIBUTE_HEADER_BYTES;
  }
}

const NONE = decodeAttributes(new Uint8Array(0));

export function encodeText(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}

/** A fixed part: bytes in front, u32 behind them. */
export function encodeFixed(bytes: readonly number[], ...words: readonly number[]): Uint8Array {
  const fixed = new Uint8Array(bytes.length + words.length * U32_BYTES);
  fixed.set(bytes);
  for (let index = 0; index < words.length; index += 1)
    writeU32(fixed, bytes.length + index * U32_BYTES, words[index] ?? 0);
  return fixed;
}

export function writeU16(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
}

function writeU32(target: Uint8Array, offset: number, value: number): void {
  writeU16(target, offset, value);
  writeU16(target, offset + 2, value >>> 16);
}

export function readU8(bytes: Uint8Array, offset: number): number {
  const value = bytes[offset];
  if (value === undefined)
    throw malformed(`${bytes.length} bytes where at least ${offset + 1} were expected`);
  return value;
}

export function readU16(bytes: Uint8Array, offset: number): number {
  return readU8(bytes, offset) | (readU8(bytes, offset + 1) << 8);
}

export function readS32(bytes: Uint8Array, offset = 0): number {
  return readU16(bytes, offset) | (readU16(bytes, offset + 2) << 16);
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  return readS32(bytes, offset) >>> 0;
}
