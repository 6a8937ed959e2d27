import type { Duplex } from 'node:stream'
import type { WebSocketConfig } from '../../config/websocket-config.ts'
import type { Delivery, ReplySink, ReplyStream } from '../exchange.ts'
import { closeFrame, FrameMarks } from './frames.ts'
import { holdStill } from './standstill.ts'

/** Why a tunnel ended: who said goodbye or left first, or which limit of ours. */
export type TunnelEnd = 'client' | 'upstream' | Closing

/** Ends that we bring about. */
type Closing = 'max_duration' | 'max_bytes' | 'idle' | 'shutting_down'

/** What a Close frame of ours says (RFC 6455 section 7.4.1). */
const CODES: Readonly<Record<Closing, number>> = {
  max_duration: 1001,
  max_bytes: 1008,
  idle: 1001,
  shutting_down: 1001,
}

/** How long a frame that has begun may take to end, and a side that was told to leave. */
const LEAVE_MS_MAX = 1_000

export interface TunnelTraffic {
  readonly bytesFromClient: number
  readonly bytesToClient: number
}

export interface TunnelParts {
  /** The upstream's connection, after its 101. */
  readonly upstream: Duplex
  readonly limits: WebSocketConfig
  /** Called once, when the client has joined. */
  readonly onOpen: () => void
  /** Called once, whether or not a client has joined. */
  readonly onEnd: (end: TunnelEnd, traffic: TunnelTraffic) => void
}

/** One direction. */
interface Way {
  readonly from: Duplex
  readonly to: Duplex
  readonly toWhom: 'client' | 'server'
  readonly marks: FrameMarks
  bytes: number
  /** Nothing of it is passed on any more. */
  isShut: boolean
}

/**
 * What follows a 101: the client's connection and the upstream's, joined with back-pressure, within
 * limits. Holds no more than a chunk and what the two sockets hold. Until the client joins, the
 * upstream stands still.
 */
export class Tunnel implements ReplyStream {
  readonly #parts: TunnelParts
  readonly #release: () => void
  #ways: readonly Way[] = []
  #client: Duplex | null = null
  #end: TunnelEnd | null = null
  #closing: Closing | null = null
  #isOver = false
  #idle: NodeJS.Timeout | null = null
  #longest: NodeJS.Timeout | null = null
  #leaving: NodeJS.Timeout | null = null

  constructor(parts: TunnelParts) {
    this.#parts = parts
    this.#release = holdStill(parts.upstream)
    parts.upstream.once('close', () => this.#left('upstream'))
  }

  async pipeTo(sink: ReplySink): Promise<Delivery> {
    const { upstream, limits, onOpen } = this.#parts
    const { connection: client } = sink
    // It left while we were settling: what was paid for is still owed.
    if (client === undefined || client.destroyed || upstream.destroyed) {
      sink.destroy()
      upstream.destroy()
      return 'aborted'
    }
    this.#client = client
    onOpen()
    client.once('close', () => this.#left('client'))
    this.#release()
    this.#ways = [this.#way(client, upstream, 'server'), this.#way(upstream, client, 'client')]
    for (const way of this.#ways) this.#listen(way)
    this.#idle = setTimeout(() => this.close('idle'), limits.idleMsMax)
    this.#longest = setTimeout(() => this.close('max_duration'), limits.durationMsMax)
    if (this.#closing !== null) this.#shutBetweenFrames()
    return 'delivered'
  }

  cancel(): void {
    this.#end ??= 'client'
    this.#parts.upstream.destroy()
  }

  /** Tells both sides, each as soon as a frame of ours can stand between theirs. */
  close(reason: Closing): void {
    if (this.#closing !== null || this.#isOver) return
    this.#closing = reason
    this.#end ??= reason
    this.#shutBetweenFrames()
    this.#leaveSoon()
  }

  #way(from: Duplex, to: Duplex, toWhom: Way['toWhom']): Way {
    return { from, to, toWhom, marks: new FrameMarks(), bytes: 0, isShut: false }
  }

  #listen(way: Way): void {
    const { from, to } = way
    // Whatever it is, 'close' follows.
    from.on('error', () => {})
    from.on('data', (chunk: Buffer) => this.#pass(way, chunk))
    from.once('end', () => {
      this.#end ??= sideOf(way)
      this.#shut(way, false)
    })
    to.on('drain', () => {
      this.#idle?.refresh()
      from.resume()
    })
    // A side that has got all there is for it has a moment to leave.
    to.once('finish', () => this.#leaveSoon())
  }

  #pass(way: Way, chunk: Buffer): void {
    if (way.isShut) return
    this.#idle?.refresh()
    const left = this.#parts.limits.bytesMax - this.#bytes
    const allowed = chunk.length > left ? chunk.subarray(0, left) : chunk
    const frames = way.marks.pass(allowed)
    // Servers close the connection first also when it was the client who said goodbye.
    if (way.marks.hasClose) this.#end ??= sideOf(way)
    const isOverLimit = allowed.length < chunk.length
    if (this.#closing === null && !isOverLimit) {
      this.#write(way, chunk)
      return
    }
    // Only whole frames, so that ours can stand behind them.
    if (frames >= 0) this.#write(way, allowed.subarray(0, frames))
    else if (!isOverLimit) this.#write(way, chunk)
    if (isOverLimit) this.close('max_bytes')
    if (frames >= 0) this.#shut(way, true)
    else if (isOverLimit) this.#shut(way, false)
  }

  #write(way: Way, chunk: Buffer): void {
    if (chunk.length === 0 || !way.to.writable) return
    way.bytes += chunk.length
    if (!way.to.write(chunk)) way.from.pause()
  }

  /** Nothing more goes this way, but a Close frame if there is room for one. */
  #shut(way: Way, isBetweenFrames: boolean): void {
    if (way.isShut) return
    way.isShut = true
    const { to, toWhom } = way
    if (!to.writable) return
    const closing = this.#closing
    if (closing !== null && isBetweenFrames) to.write(closeFrame(CODES[closing], closing, toWhom))
    to.end()
    // What still comes is read and thrown away, for the sender's last bytes must not reset it.
    way.from.resume()
  }

  #shutBetweenFrames(): void {
    for (const way of this.#ways) if (way.marks.isBetweenFrames) this.#shut(way, true)
  }

  get #bytes(): number {
    return this.#ways.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  #leaveSoon(): void {
    this.#leaving ??= setTimeout(() => {
      this.#parts.upstream.destroy()
      this.#client?.destroy()
    }, LEAVE_MS_MAX)
  }

  /** One side is gone for good; what was on its way to the other still gets there. */
  #left(side: 'client' | 'upstream'): void {
    this.#end ??= side
    const { upstream, onEnd } = this.#parts
    for (const way of this.#ways) this.#shut(way, false)
    if (!upstream.destroyed || this.#client?.destroyed === false || this.#isOver) return
    this.#isOver = true
    for (const timer of [this.#idle, this.#longest, this.#leaving]) clearTimeout(timer ?? undefined)
    const [up, down] = this.#ways
    onEnd(this.#end, { bytesFromClient: up?.bytes ?? 0, bytesToClient: down?.bytes ?? 0 })
  }
}

function sideOf({ toWhom }: Way): 'client' | 'upstream' {
  return toWhom === 'server' ? 'client' : 'upstream'
}
