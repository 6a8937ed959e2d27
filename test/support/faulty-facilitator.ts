import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Operation } from './facilitator.ts'
import { serveLocally } from './json-server.ts'

/** One request that a facilitator with a fault has to deal with. */
export interface FaultyCall {
  readonly response: ServerResponse
  /** Has the real facilitator do the work, and returns what it answered. */
  relay(): Promise<{ readonly status: number; readonly text: string }>
  /** Closes the facilitator's port. */
  leave(): void
}

/** What a facilitator does instead of its work, once it has read the request. */
export type Fault = (call: FaultyCall) => void | Promise<void>

/** Whose requests a fault is for. */
export interface Victim {
  /** Of the payment. */
  readonly nonce: string
  /** What the gateway sends as `x-asker`: it tells requests apart that nobody reads. */
  readonly asker?: string
}

export interface FaultyFacilitator {
  readonly url: string
  /** From now on, `operation` fails for this payment. Everything else works. */
  breakFor(victim: Victim, operation: Operation, fault: Fault): void
  repair(): void
  /** How often it was asked about the payment with this nonce. */
  asked(operation: Operation, nonce: string): number
  close(): Promise<void>
}

/** Stands before a real facilitator and spoils what it is told to, down to the connection. */
export async function startFaultyFacilitator(real: {
  readonly url: string
}): Promise<FaultyFacilitator> {
  const arrivals: string[] = []
  let broken: { victim: Victim; operation: string; fault: Fault } | null = null
  const server = await serveLocally(async (request, response) => {
    const operation = request.url?.slice(1) ?? ''
    if (broken?.fault === resetUnread && isFor(broken, request)) {
      arrivals.push(`${operation} ${broken.victim.nonce}`)
      response.socket?.resetAndDestroy()
      return
    }
    const body = await text(request)
    const nonce = /"nonce":"(0x[0-9a-f]{64})"/.exec(body)?.[1] ?? ''
    arrivals.push(`${operation} ${nonce}`)
    const isVictim = broken?.victim.nonce === nonce && broken.operation === operation
    const fault = isVictim ? broken?.fault : null
    const relay = () => send(real.url, request, body)
    await (fault ?? passOn)({ response, relay, leave: () => void server.close() })
  })
  return {
    url: server.url,
    breakFor(victim, operation, fault) {
      broken = { victim, operation, fault }
    },
    repair() {
      broken = null
    },
    asked: (operation, nonce) => arrivals.filter(one => one === `${operation} ${nonce}`).length,
    close: server.close,
  }
}

function isFor(
  { victim, operation }: { readonly victim: Victim; readonly operation: string },
  { url, headers }: IncomingMessage,
): boolean {
  return url === `/${operation}` && headers['x-asker'] === victim.asker
}

async function send(realUrl: string, { method = 'GET', url }: IncomingMessage, body: string) {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(realUrl + url, { method, headers, body: body === '' ? null : body })
  return { status: reply.status, text: await reply.text() }
}

const passOn: Fault = async ({ response, relay }) => {
  const { status, text: answer } = await relay()
  response.writeHead(status, { 'content-type': 'application/json' }).end(answer)
}

/** Answers without doing anything. A body that is no string is sent as JSON. */
export function answers(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Fault {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

/** Does the work, and then goes wrong. */
export function afterTheWork(fault: Fault): Fault {
  return async call => {
    await call.relay()
    await fault(call)
  }
}

/** Does the work, and is gone once it has told of it. */
export const leaves: Fault = async ({ response, relay, leave }) => {
  const { status, text: answer } = await relay()
  response.writeHead(status, { connection: 'close' }).end(answer, leave)
}

/** Does the work, and tells of it in its own way. */
export function tells(
  change: (answer: Record<string, unknown>) => unknown,
  headers: Record<string, string> = {},
): Fault {
  return async call => {
    const done = await call.relay()
    await answers(done.status, change(JSON.parse(done.text)), headers)(call)
  }
}

export const hang: Fault = () => {}

/** When the request's head is there, and before anybody has read the payment. */
export const resetUnread: Fault = reset

export const resetRead: Fault = call => reset(call)

function reset({ response }: FaultyCall): void {
  response.socket?.resetAndDestroy()
}

/** Promises a good answer of some length, and ends the connection in its middle. */
export function cutOff(answer: unknown): Fault {
  return ({ response }) => {
    const whole = JSON.stringify(answer)
    const length = String(whole.length)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': length })
    response.write(whole.slice(0, -2), () => response.destroy())
  }
}

/** A good answer of which a byte comes now and then: each one restarts an idle time-out. */
export function trickles(answer: unknown, intervalMs: number): Fault {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const bytes = [...JSON.stringify(answer)]
    const timer = setInterval(() => response.write(bytes.shift() ?? ' '), intervalMs)
    response.once('close', () => clearInterval(timer))
  }
}
