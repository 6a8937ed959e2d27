import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { valuesOf, withoutHeaders } from '../core/header-list.ts'
import { ForwardHandler, type Forwarding, toStrings } from './forward-handler.ts'
import type { UpgradeOutcome } from './upstream.ts'

export interface Upgrading extends Forwarding {
  readonly resolve: (outcome: UpgradeOutcome) => void
}

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Turns undici's callbacks for one handshake into one outcome. */
export class UpgradeHandler extends ForwardHandler {
  readonly #upgrading: Upgrading

  constructor(upgrading: Upgrading) {
    super(upgrading)
    this.#upgrading = upgrading
  }

  /** Called instead of `onResponseStart` for an answer after which nothing is HTTP any more. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    connection: Duplex,
  ): void {
    const { request, rules, resolve } = this.#upgrading
    this.handOver()
    const raw = toStrings(controller.rawHeaders)
    if (status !== 101 || !answersHandshake(raw, request.rawHeaders)) {
      connection.destroy()
      resolve({ kind: 'unreachable', detail: 'BAD_UPGRADE' })
      return
    }
    resolve({ kind: 'upgraded', headers: withoutLength(rules.forReply(raw)), connection })
  }
}

/** A 101 that no client would take (RFC 6455 section 4.1) opens nothing, and must cost nothing. */
function answersHandshake(answer: readonly string[], handshake: readonly string[]): boolean {
  const [key = ''] = valuesOf(handshake, 'sec-websocket-key')
  const expected = createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64')
  const accepts = valuesOf(answer, 'sec-websocket-accept')
  const protocols = valuesOf(answer, 'upgrade')
  return (
    accepts.length === 1 &&
    accepts[0] === expected &&
    protocols.length === 1 &&
    protocols[0]?.toLowerCase() === 'websocket'
  )
}

/** A 101 has no body (RFC 9110 section 8.6); what a length here would hide are frames. */
function withoutLength(headers: readonly string[]): string[] {
  return withoutHeaders(headers, name => name.toLowerCase() === 'content-length')
}
