import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { readRequestTarget } from '../../../src/routing/request-target.ts'
import { startRecorder } from '../../corpus/recorders.ts'
import { openShop } from '../../corpus/shop.ts'
import { connectRaw } from '../../support/raw-client.ts'
import { mutatedBytes } from './mutations.ts'
import { openNginxParser } from './nginx-parser.ts'
import { nodeParser, type Parser, plainParser, type Reading, undiciParser } from './parsers.ts'

export interface FuzzOptions {
  readonly seconds: number
  readonly seed: number
  /** What stands in front of the upstream; "nothing" hands on all bytes, to see that it is found. */
  readonly gateway?: 'farebox' | 'nothing'
  /** One more parser, which is wrong, to see that it is found. */
  readonly planted?: Parser
}

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
 * parsers that differ. Throws, with the bytes, when one of them sees another request than the rest,
 * or one that the client's bytes do not have.
 */
export async function fuzzEdge({
  seconds,
  seed,
  gateway = 'farebox',
  planted,
}: FuzzOptions): Promise<FuzzReport> {
  const recorder = await startRecorder('node:http')
  const tap = await startTap(recorder.url)
  const shop = await openShop(tap.url)
  const nginx = await openNginxParser()
  const others = otherParsers()
  if (nginx !== null) others.set('nginx', nginx.parse)
  if (planted !== undefined) others.set('planted', planted)
  const url = gateway === 'farebox' ? shop.gateway.url : tap.url
  const client = nodeParser(false, true)
  const checks: Checks = { tap, url, client, strict: nodeParser(false), others, late: [] }
  let runs = 0
  let tunnels = 0
  const run = async (bytes: string): Promise<void> => {
    runs++
    if (await compare(bytes, checks)) tunnels++
  }
  try {
    await fc.assert(fc.asyncProperty(mutatedBytes, run), {
      seed,
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: seconds * 1_000,
      endOnFailure: true,
    })
    const parsers = [...others.keys()]
    const reached = recorder.seen.length
    return { runs, parsers, reached, tunnels, forwarded: shop.forwarded() }
  } finally {
    await shop[Symbol.asyncDispose]()
    await tap.close()
    await recorder.close()
    await nginx?.close()
  }
}

interface Checks {
  readonly tap: Tap
  readonly url: string
  /** How the client's own bytes are read: what follows a handshake is no request. */
  readonly client: Parser
  readonly strict: Parser
  readonly others: ReadonlyMap<string, Parser>
  /** What was sent by clients that gave up waiting, newest last: it may arrive later. */
  readonly late: string[]
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
async function compare(
  bytes: string,
  { tap, url, client, strict, others, late }: Checks,
): Promise<boolean> {
  const sent = await client(Buffer.from(bytes, 'latin1'))
  const isOver = await exchange(bytes, url, sent)
  const left = sent.requests.map(canonical)
  const tunnel = sent.tunnel?.toString('latin1') ?? null
  let isOpened = false
  for (const wire of tap.take()) {
    const reading = await strict(wire.bytes)
    if (reading.broke) throw new DisagreementError(bytes, 'node:http refuses what we sent')
    for (const request of reading.requests) {
      // Everything that arrives was sent; what we refuse does not arrive.
      if (!takeOne(left, request) && !takeOne(late, request)) {
        throw new DisagreementError(bytes, `Nobody sent ${request}`)
      }
    }
    await expectSameReading(wire.bytes, reading, others, bytes)
    if (wire.tunnel !== null) {
      isOpened = true
      const passed = wire.tunnel.toString('latin1')
      if (![tunnel, ...late].some(one => one?.startsWith(passed))) {
        throw new DisagreementError(bytes, `Nobody sent ${JSON.stringify(passed)} into a tunnel`)
      }
    }
    if (reading.unfinished || wire.tunnel !== null) wire.cut()
  }
  // On a busy machine, a client gives up before its request has gone through.
  if (!isOver) late.push(...left, ...(tunnel === null ? [] : [tunnel]))
  late.splice(0, Math.max(0, late.length - LATE_MAX))
  return isOpened
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
  bytes: string,
): Promise<void> {
  for (const [name, parse] of others) {
    const { requests } = await parse(wire)
    if (requests.join() === reading.requests.join()) continue
    const what = `${name} reads ${requests.join()}, and node:http ${reading.requests.join()}`
    throw new DisagreementError(bytes, what)
  }
}

/** The parsers do not agree, and it reached the upstream. */
class DisagreementError extends Error {
  constructor(bytes: string, what: string) {
    super(`${what}\nin ${JSON.stringify(bytes)}`)
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

/** Sends, and waits until everything is answered that will be: false where that took too long. */
async function exchange(bytes: string, url: string, sent: Reading): Promise<boolean> {
  const client = await connectRaw(url)
  client.send(bytes)
  const answersMax = sent.requests.length + (sent.broke ? 1 : 0)
  let received = ''
  const { socket } = client
  const isOver = await new Promise<boolean>(resolve => {
    const timer = setTimeout(resolve, 100, false)
    const done = (): void => {
      clearTimeout(timer)
      resolve(true)
    }
    socket.on('data', chunk => {
      received += chunk.toString('latin1')
      const answers = received.match(/HTTP\/1\.1 (?:101|[2-5]\d\d) /g)?.length ?? 0
      if (answers >= answersMax && hasComeBack(received, sent)) done()
    })
    socket.once('close', done)
  })
  client.destroy()
  await client.closed
  return isOver
}

/** Whether a tunnel that was opened, if one was, has said back all that was sent into it. */
function hasComeBack(received: string, { tunnel }: Reading): boolean {
  const opened = received.indexOf('HTTP/1.1 101 ')
  const start = received.indexOf('\r\n\r\n', opened) + 4
  return opened === -1 || received.length - start >= (tunnel?.length ?? 0)
}

interface Wire {
  /** Those that are HTTP. */
  readonly bytes: Buffer
  /** What came when the upstream had agreed to change protocols; null: it has not. */
  readonly tunnel: Buffer | null
  /** Ends the connection: nothing of it comes any more. */
  cut(): void
}

interface Tap {
  readonly url: string
  /** What has come on each connection since it was last asked. */
  take(): Wire[]
  close(): Promise<void>
}

interface Copy {
  readonly chunks: Buffer[]
  tunnel: Buffer[] | null
}

/** Stands in front of the recorder and keeps a copy of every byte. */
async function startTap(url: string): Promise<Tap> {
  const { hostname, port } = new URL(url)
  const wires = new Map<Socket, Copy>()
  const server = createServer(socket => {
    const behind = connect({ host: hostname, port: Number(port) })
    const copy: Copy = { chunks: [], tunnel: null }
    wires.set(socket, copy)
    socket.on('data', (chunk: Buffer) => {
      const kept = copy.tunnel ?? copy.chunks
      kept.push(chunk)
      behind.write(chunk)
    })
    behind.on('data', (chunk: Buffer) => {
      if (chunk.includes('HTTP/1.1 101 ')) copy.tunnel ??= []
      socket.write(chunk)
    })
    socket.on('error', () => {}).on('close', () => behind.destroy())
    behind.on('error', () => {}).on('close', () => socket.destroy())
  })
  const cut = (socket: Socket): void => {
    wires.delete(socket)
    socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${own}`,
    take() {
      const taken: Wire[] = []
      for (const [socket, { chunks, tunnel }] of wires) {
        const bytes = Buffer.concat(chunks.splice(0))
        const wire = { bytes, tunnel: tunnel && Buffer.concat(tunnel), cut: () => cut(socket) }
        if (bytes.length > 0 || tunnel !== null) taken.push(wire)
        if (socket.destroyed) wires.delete(socket)
      }
      return taken
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of wires.keys()) socket.destroy()
      await closed
    },
  }
}
