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
/** Numbers that say what and where an attribute is. */
const PLACE_LENGTH = 3;

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
      body: slice(datagram, offset + MESSAGE_HEADER_BYTES, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** The bytes that a request takes in a datagram, padding included. */
export function messageBytes({ body }: KernelRequest): number {
  return align(MESSAGE_HEADER_BYTES + body.length);
}

/** Writes a message (port 0: the kernel fills it in) and returns the offset behind it. */
export function writeMessage(
  target: Uint8Array,
  offset: number,
  request: KernelRequest,
  sequence: number,
): number {
  writeU32(target, offset, MESSAGE_HEADER_BYTES + request.body.length);
  writeU16(target, offset + 4, request.type);
  writeU16(target, offset + 6, request.flags);
  writeU32(target, offset + 8, sequence);
  target.set(request.body, offset + MESSAGE_HEADER_BYTES);
  return offset + messageBytes(request);
}

/** The fixed part of a message, followed by its attributes. */
export function encodeBody(fixed: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  const body = new Uint8Array(align(fixed.length) + attributesBytes(attributes));
  body.set(fixed);
  writeAttributes(body, align(fixed.length), attributes);
  return body;
}

function attributesBytes(attributes: readonly Attribute[]): number {
  let bytes = 0;
  for (const [, value] of attributes) bytes += align(ATTRIBUTE_HEADER_BYTES + valueBytes(value));
  return bytes;
}

function valueBytes(value: AttributeValue): number {
  if (typeof value === 'number') return U32_BYTES;
  return value instanceof Uint8Array ? value.length : attributesBytes(value);
}

function writeAttributes(target: Uint8Array, start: number, attributes: readonly Attribute[]): void {
  let offset = start;
  for (const [type, value] of attributes) {
    const length = ATTRIBUTE_HEADER_BYTES + valueBytes(value);
    const valueOffset = offset + ATTRIBUTE_HEADER_BYTES;
    writeU16(target, offset, length);
    writeU16(target, offset + 2, type);
    if (typeof value === 'number') writeU32(target, valueOffset, value);
    else if (value instanceof Uint8Array) target.set(value, valueOffset);
    else writeAttributes(target, valueOffset, value);
    offset += align(length);
  }
}

/** The attributes from an offset on. Throws AgentError `kernel-refused` when a length contradicts the bytes. */
export function decodeAttributes(bytes: Uint8Array, start = 0): Attributes {
  const places: number[] = [];
  for (let offset = start; offset < bytes.length; ) {
    const length = readU16(bytes, offset);
    if (length < ATTRIBUTE_HEADER_BYTES || offset + length > bytes.length)
      throw malformed(`an attribute says it has ${length} bytes, ${bytes.length - offset} are there`);
    const type = readU16(bytes, offset + 2) & ATTRIBUTE_TYPE_MASK;
    places.push(type, offset + ATTRIBUTE_HEADER_BYTES, offset + length);
    offset += align(length);
  }
  return new Attributes(bytes, places);
}

/**
 * Attributes, read where they lie: a list of thousands of objects has ten thousands of them, of which a few are asked for. Of a type that
 * comes twice the last counts, as in the kernel's own parser.
 */
export class Attributes {
  readonly #bytes: Uint8Array;
  /** Of each one its type, and where its value begins and ends. */
  readonly #places: readonly number[];

  constructor(bytes: Uint8Array, places: readonly number[]) {
    this.#bytes = bytes;
    this.#places = places;
  }

  has(type: number): boolean {
    return this.#find(type) !== -1;
  }

  /** The value, or undefined when it is not there. */
  get(type: number): Uint8Array | undefined {
    const index = this.#find(type);
    return index === -1 ? undefined : slice(this.#bytes, this.#start(index), this.#end(index));
  }

  /** A u32, or undefined when it is not there. */
  u32(type: number): number | undefined {
    const index = this.#find(type);
    if (index === -1) return undefined;
    const start = this.#start(index);
    const bytes = this.#end(index) - start;
    if (bytes < U32_BYTES) throw malformed(`${bytes} bytes where at least ${U32_BYTES} were expected`);
    return readU32(this.#bytes, start);
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
    return this.#places.filter((_, index) => index % PLACE_LENGTH === 0);
  }

  #find(type: number): number {
    for (let index = this.#places.length - PLACE_LENGTH; index >= 0; index -= PLACE_LENGTH)
      if (this.#places[index] === type) return index;
    return -1;
  }

  #start(index: number): number {
    return this.#places[index + 1] ?? 0;
  }

  #end(index: number): number {
    return this.#places[index + 2] ?? 0;
  }
}

const NONE = new Attributes(new Uint8Array(0), []);

export function encodeText(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}

/** A fixed part: bytes in front, u32 behind them. */
export function encodeFixed(bytes: readonly number[], ...words: readonly number[]): Uint8Array {
  const fixed = new Uint8Array(bytes.length + words.length * U32_BYTES);
  fixed.set(bytes);
  for (const [index, word] of words.entries()) writeU32(fixed, bytes.length + index * U32_BYTES, word);
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

function slice(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
