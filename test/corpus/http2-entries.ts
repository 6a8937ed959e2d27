import { readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:http2'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'
import { END_HEADERS, END_STREAM, FRAME, frame, headerBlock } from '../support/http2-client.ts'

/** The stream of a frame that names none. */
const FIRST_STREAM = 1
/** Unless its receiver says that it takes more (RFC 9113 section 6.5.2). */
const FRAME_BYTES_MAX = 16_384

const stream = z.number().default(FIRST_STREAM)

/** One thing that the client sends. Texts have one character a byte. */
const sent = z.union([
  /** A whole field section in one HEADERS frame, "name: value" each: a head, or trailers. */
  z.strictObject({ fields: z.array(z.string()), ends: z.boolean().default(true), stream }),
  /** A DATA frame. */
  z.strictObject({ data: z.string(), ends: z.boolean().default(true), stream }),
  /** Any frame. */
  z.strictObject({ type: z.number(), flags: z.number(), payload: z.string(), stream }),
  /** What is no frame at all. */
  z.strictObject({ bytes: z.string() }),
])

const ERRORS = [
  ...['PROTOCOL_ERROR', 'FLOW_CONTROL_ERROR', 'STREAM_CLOSED', 'FRAME_SIZE_ERROR'],
  ...['COMPRESSION_ERROR', 'INTERNAL_ERROR'],
] as const
const error = z.enum(ERRORS)

/** What one client says on one connection, and what must become of it. */
const entry = z.strictObject({
  name: z.string(),
  send: z.array(sent),
  /** "{repeat}" in a text that is sent stands for this. */
  repeat: z.strictObject({ text: z.string(), times: z.number() }).optional(),
  /**
   * Of the first streams, by number: the status of the answer, or why the stream is reset. Null:
   * nothing is said of it.
   */
  answers: z.array(z.union([z.number(), error, z.null()])),
  /** The code of the first answer. */
  code: z.string().optional(),
  /** What the connection is ended with; without it, it carries another request afterwards. */
  ends: z.union([error, z.literal('WITHOUT_A_WORD')]).optional(),
  /** What the upstream sees of it, whole: method, target and body. */
  seen: z.array(z.string()).default([]),
  /** The upstream may see the beginning of a request that is then cut off. */
  mayBeCut: z.boolean().default(false),
  /** Headers that the upstream gets with it, "name: value". */
  has: z.array(z.string()).default([]),
  /** Header names that it does not get, in any spelling that CGI would read as them. */
  lacks: z.array(z.string()).default([]),
})

export type Http2Entry = z.output<typeof entry>

const FOLDER = fileURLToPath(new URL('http2/', import.meta.url))

/** By theme: the name of the file. */
export function readHttp2Corpus(): Map<string, Http2Entry[]> {
  return new Map(
    readdirSync(FOLDER).map(file => {
      const entries: unknown = parse(readFileSync(FOLDER + file, 'utf8'))
      return [file.replace('.yaml', ''), z.array(entry).parse(entries)]
    }),
  )
}

export function framesOf({ send, repeat }: Pick<Http2Entry, 'send' | 'repeat'>): Buffer {
  const whole = (text: string): string =>
    repeat === undefined ? text : text.replace('{repeat}', repeat.text.repeat(repeat.times))
  return Buffer.concat(
    send.map(one => {
      if ('bytes' in one) return Buffer.from(one.bytes, 'latin1')
      if ('type' in one) {
        return frame(one.type, one.flags, one.stream, Buffer.from(whole(one.payload), 'latin1'))
      }
      const end = one.ends ? END_STREAM : 0
      if ('data' in one) {
        return frame(FRAME.data, end, one.stream, Buffer.from(whole(one.data), 'latin1'))
      }
      return headFrames(one.stream, one.fields.map(whole), end)
    }),
  )
}

/** What is too long for one frame goes on in CONTINUATION. */
function headFrames(stream: number, fields: readonly string[], end: number): Buffer {
  const block = headerBlock(fields.map(splitField))
  const frames: Buffer[] = []
  for (let start = 0; start === 0 || start < block.length; start += FRAME_BYTES_MAX) {
    const piece = block.subarray(start, start + FRAME_BYTES_MAX)
    const type = start === 0 ? FRAME.headers : FRAME.continuation
    const isLast = start + FRAME_BYTES_MAX >= block.length
    const flags = (start === 0 ? end : 0) | (isLast ? END_HEADERS : 0)
    frames.push(frame(type, flags, stream, piece))
  }
  return Buffer.concat(frames)
}

export function isFor(entry: Http2Entry, method: string): boolean {
  const [first] = entry.send
  return first !== undefined && 'fields' in first && first.fields.includes(`:method: ${method}`)
}

/** The number that stands for an error on the wire (RFC 9113 section 7); null for none. */
export function codeOf(name: (typeof ERRORS)[number] | 'WITHOUT_A_WORD'): number | null {
  return name === 'WITHOUT_A_WORD' ? null : constants[`NGHTTP2_${name}`]
}

/** A pseudo-header's name begins with the colon that ends others. */
export function splitField(field: string): [string, string] {
  const colon = field.indexOf(': ', field.startsWith(': ') ? 0 : 1)
  return [field.slice(0, colon), field.slice(colon + 2)]
}
