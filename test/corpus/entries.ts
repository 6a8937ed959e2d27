import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'

/** One raw request, or several, and what must become of it. */
const entry = z.strictObject({
  name: z.string(),
  /** The bytes, one character each. "{repeat}" stands for what `repeat` says. */
  send: z.string(),
  repeat: z.strictObject({ text: z.string(), times: z.number() }).optional(),
  /** Status of every answer, in order. */
  answers: z.array(z.number()),
  /** The code of the last answer. */
  code: z.string().optional(),
  /** What the upstream sees of it, whole: method, target and body. */
  seen: z.array(z.string()).default([]),
  /** The upstream may see the beginning of a request that is then cut off. */
  mayBeCut: z.boolean().default(false),
  /** What is sent behind a handshake, and comes back through the tunnel that a 101 has opened. */
  tunnels: z.string().optional(),
  /** The connection carries another request afterwards; else we end it. */
  stays: z.boolean().default(false),
  /** Headers that the upstream gets with it, "name: value". */
  has: z.array(z.string()).default([]),
  /** Header names that it does not get, in any spelling that CGI would read as them. */
  lacks: z.array(z.string()).default([]),
})

export type CorpusEntry = z.output<typeof entry>

const FOLDER = fileURLToPath(new URL('.', import.meta.url))

/** By theme: the name of the file. */
export function readCorpus(): Map<string, CorpusEntry[]> {
  const files = readdirSync(FOLDER).filter(file => file.endsWith('.yaml'))
  return new Map(
    files.map(file => {
      const entries: unknown = parse(readFileSync(FOLDER + file, 'utf8'))
      return [file.replace('.yaml', ''), z.array(entry).parse(entries)]
    }),
  )
}

export function bytesOf({ send, repeat }: CorpusEntry): string {
  return repeat === undefined ? send : send.replace('{repeat}', repeat.text.repeat(repeat.times))
}
