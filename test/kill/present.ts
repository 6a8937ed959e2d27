import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Moments } from './moments.ts'
import { type Attempt, contentOf, type Order, type Payment, ROUTES } from './order.ts'

export interface Presentation {
  readonly gatewayUrl: string
  readonly generation: number
  readonly payment: Payment
  /** Whether the client goes away in the middle, as its order's plan says. */
  readonly leaves: boolean
}

/** Sends a payment once and writes down what comes back. Never rejects. */
export async function present(order: Order, how: Presentation, moments: Moments): Promise<Attempt> {
  const { generation, payment } = how
  const attempt: Attempt = {
    ...{ generation, nonce: payment.nonce, status: null, code: null },
    ...{ pricedBytes: 0, whole: false, left: false, ended: false },
  }
  order.attempts.push(attempt)
  const sent = send(order, how)
  const leave = async (): Promise<void> => {
    await sleep(order.plan.leaving.afterMs)
    attempt.left = true
    sent.destroy()
  }
  const leavesAt = (at: 'sent' | 'head' | 'body'): void => {
    if (how.leaves && order.plan.leaving.at === at) void leave()
  }
  moments.tell('client sent', order)
  leavesAt('sent')
  try {
    const [response]: IncomingMessage[] = await once(sent, 'response')
    if (response === undefined) throw new Error('There is no response.')
    attempt.status = response.statusCode ?? null
    if (attempt.status === 200) moments.tell('client got head', order)
    leavesAt('head')
    await read(response, attempt, () => {
      if (attempt.status === 200) moments.tell('client got first byte', order)
      leavesAt('body')
    }).then(body => judgeBody(body, { attempt, order, moments }))
  } catch {
    // Cut off: what came until then is in the attempt.
  }
  attempt.ended = true
  order.story.push(`  generation ${generation} ended with ${describe(attempt)}`)
  return attempt
}

function send({ plan }: Order, { gatewayUrl, payment }: Presentation): ClientRequest {
  const { id, method, settle } = plan
  const sent = request(`${gatewayUrl}${ROUTES[settle]}/${id}`, {
    method,
    // A connection of its own: what one client does to it concerns nobody else.
    agent: false,
    headers: { 'PAYMENT-SIGNATURE': payment.header },
  })
  // Also after the response has begun.
  sent.on('error', () => undefined)
  sent.end(method === 'POST' ? `for ${id}` : undefined)
  return sent
}

async function read(
  response: IncomingMessage,
  attempt: Attempt,
  onFirstByte: () => void,
): Promise<string> {
  let body = ''
  for await (const chunk of response.setEncoding('latin1')) {
    const isFirst = body === ''
    body += chunk
    if (body.includes('priced ')) attempt.pricedBytes = body.length
    if (isFirst) onFirstByte()
  }
  return body
}

function judgeBody(
  body: string,
  at: { readonly attempt: Attempt; readonly order: Order; readonly moments: Moments },
): void {
  const { attempt, order, moments } = at
  if (attempt.status !== 200) {
    attempt.code = /"(?:code|error)":"(\w+)"/.exec(body)?.[1] ?? null
    return
  }
  attempt.whole = body === contentOf(order.plan).join('')
  moments.tell('client got everything', order)
}

function describe({ status, code, pricedBytes, whole, left }: Attempt): string {
  const end = whole ? 'everything' : `${pricedBytes} priced bytes`
  return `${left ? 'its leaving, ' : ''}${status ?? 'no answer'} ${code ?? ''}, ${end}`
}
