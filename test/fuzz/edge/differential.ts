import fc from 'fast-check'
import { readRequestTarget } from '../../../src/routing/request-target.ts'
import { startRecorder } from '../../corpus/recorders.ts'
import { openShop } from '../../corpus/shop.ts'
import { type Certificate, createAuthority } from '../../support/certificates.ts'
import type { FuzzClient } from './fuzz-client.ts'
import { openNginxParser } from './nginx-parser.ts'
import { overHttp1 } from './over-http1.ts'
import { overHttp2 } from './over-http2.ts'
import { nodeParser, type Parser, plainParser, type Reading, undiciParser } from './parsers.ts'
import { startTap, type Tap } from './tap.ts'

export interface FuzzOptions {
  readonly seconds: number
  readonly seed: number
  readonly protocol: FuzzProtocol
  /** What stands in front of the upstream instead of farebox: its URL, which is asked in its place. */
  readonly instead?: (upstream: string, certificate: Certificate) => Promise<string>
  /** One more parser, which is wrong, to see that it is found. */
  readonly planted?: Parser
}

export type FuzzProtocol = 'HTTP/1.1' | 'HTTP/2'

export interface FuzzReport {
  readonly runs: number
  /** Who read what reached the upstream, beside node:http. */
  readonly parsers: readonly string[]
  /** Requests that reached the upstream whole. */
  readonly reached: number
  /** Handshakes whose tunnel was opened. */
  readonly tunnels: number
  /** Requests that farebox says it sent on, whatever became of them. */
  readonly forwarded: number
}

/**
 * Sends changed requests through a gateway, for so long, and reads what reaches its upstream with
 * parsers that differ. Throws, with what was sent, when one of them sees another request than the
 * rest, or when something arrives that nobody sent.
 */
export async function fuzzEdge(options: FuzzOptions): Promise<FuzzReport> {
  const { seconds, seed, protocol, planted } = options
  const recorder = await startRecorder('node:http')
  const tap = await startTap(recorder.url)
  const authority = await createAuthority()
  const certificate = await authority.issue()
  const shop = await openShop(tap.url, protocol === 'HTTP/2' ? { certificate } : {})
  const nginx = await openNginxParser()
  const others = otherParsers()
  if (nginx !== null) others.set('nginx', nginx.parse)
  if (planted !== undefined) others.set('planted', planted)
  const url = (await options.instead?.(tap.url, certificate)) ?? shop.gateway.url
  const checks: Checks = { tap, strict: nodeParser(false), others, late: [], lately: [] }
  say(
    `${protocol}, seed ${seed}, ${seconds} s, ${nginx === null ? 'no nginx' : 'nginx reads along'}`,
  )
  let runs = 0
  let tunnels = 0
  const fuzz = <T>(client: FuzzClient<T>): Promise<void> => {
    const run = async (message: T): Promise<void> => {
      runs++
      if (await compare(message, client, checks)) tunnels++
    }
    return fc.assert(fc.asyncProperty(client.messages, run), {
      seed,
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: seconds * 1_000,
      endOnFailure: true,
    })
  }
  try {
    await (protocol === 'HTTP/2' ? fuzz(overHttp2(url, authority.cert)) : fuzz(overHttp1(url)))
    const parsers = [...others.keys()]
    const reached = recorder.seen.length
    const report = { runs, parsers, reached, tunnels, forwarded: shop.forwarded() }
    say(JSON.stringify(report))
    return report
  } finally {
    await shop[Symbol.asyncDispose]()
    await tap.close()
    await recorder.close()
    await nginx?.close()
  }
}

function say(what: string): void {
  process.stdout.write(`edge fuzz: ${what}\n`)
}

interface Checks {
  readonly tap: Tap
  readonly strict: Parser
  readonly others: ReadonlyMap<string, Parser>
  /** What was sent before, newest last, and may arrive later. */
  readonly late: Expected[]
  /** What was sent, newest first: what should not have arrived may be of one before the last. */
  readonly lately: string[]
}

const LATELY_MAX = 3

/** What of a message has not arrived. */
interface Expected {
  readonly requests: string[]
  readonly names: ReadonlySet<string>
  readonly tunnel: string | null
}

const LATE_MAX = 20

function otherParsers(): Map<string, Parser> {
  return new Map([
    ['node:http, lenient', nodeParser(true)],
    ['undici', undiciParser()],
    ['RFC 9112', plainParser()],
  ])
}

/** True: a tunnel was opened. */
async function compare<T>(
  message: T,
  client: FuzzClient<T>,
  { tap, strict, others, late, lately }: Checks,
): Promise<boolean> {
  lately.unshift(client.show(message))
  lately.splice(LATELY_MAX)
  const fail = (what: string): never => {
    throw new DisagreementError(what, lately)
  }
  const asked = await client.read(message)
  const isOver = await client.exchange(message, asked)
  const now = toExpected(asked)
  const expected = [now, ...late]
  let isOpened = false
  for (const wire of tap.take()) {
    const reading = await strict(wire.bytes)
    if (reading.broke) fail('node:http refuses what we sent')
    for (const request of reading.requests) {
      // Everything that arrives was sent; what we refuse does not arrive.
      if (!expected.some(({ requests }) => takeOne(requests, request))) {
        fail(`Nobody sent ${request}`)
      }
    }
    for (const name of reading.names ?? []) {
      if (!OURS.has(name) && !expected.some(({ names }) => names.has(name))) {
        fail(`Nobody sent a header ${JSON.stringify(name)}`)
      }
      if (NOT_THEIRS.test(name.replaceAll(/[^a-z0-9]/g, '-'))) fail(`A client cannot say ${name}`)
    }
    await expectSameReading(wire.bytes, reading, others, fail)
    if (wire.tunnel !== null) {
      isOpened = true
      const passed = wire.tunnel.toString('latin1')
      if (!expected.some(({ tunnel }) => tunnel?.startsWith(passed))) {
        fail(`Nobody sent ${JSON.stringify(passed)} into a tunnel`)
      }
    }
    if (reading.unfinished || wire.tunnel !== null) wire.cut()
  }
  // On a busy machine, a client gives up before its request has gone through; and the head of one
  // that never ends is waited for by nobody.
  late.push(isOver ? { ...now, requests: [], tunnel: null } : now)
  late.splice(0, Math.max(0, late.length - LATE_MAX))
  return isOpened
}

/** Headers that we write, in lower case, whether or not the client had them. */
const OURS: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade'],
  ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'],
])

/** Payments, and what only we may say, in any spelling that CGI would read as them. */
const NOT_THEIRS =
  /^(?:payment-(?:signature|required|response)|x-payment(?:-response)?|farebox-.*)$/

function toExpected({ requests, names = new Set(), tunnel = null }: Reading): Expected {
  return {
    requests: requests.map(canonical),
    names,
    tunnel: tunnel?.toString('latin1') ?? null,
  }
}

function takeOne(requests: string[], request: string): boolean {
  const index = requests.indexOf(request)
  if (index !== -1) requests.splice(index, 1)
  return index !== -1
}

async function expectSameReading(
  wire: Buffer,
  reading: Reading,
  others: ReadonlyMap<string, Parser>,
  fail: (what: string) => void,
): Promise<void> {
  for (const [name, parse] of others) {
    const { requests } = await parse(wire)
    if (requests.join() === reading.requests.join()) continue
    fail(`${name} reads ${requests.join()}, and node:http ${reading.requests.join()}`)
  }
}

/** The parsers do not agree, and it reached the upstream. */
class DisagreementError extends Error {
  constructor(what: string, [message, ...before]: readonly string[]) {
    super([what, `in ${message}`, ...before.map(one => `or in ${one}`)].join('\n'))
    this.name = 'DisagreementError'
  }
}

/** What must arrive of a request: the same, with its target as it is matched. */
function canonical(request: string): string {
  const [method, raw, body]: string[] = JSON.parse(request)
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(raw ?? '')
  const target = readRequestTarget(raw ?? '', absolute?.[1] ?? null)
  return JSON.stringify([method, target.kind === 'target' ? target.full : raw, body])
}
