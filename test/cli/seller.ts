import type { IncomingMessage, ServerResponse } from 'node:http'
import { seller } from '../support/accounts.ts'
import { TOKEN_ADDRESS } from '../support/chain.ts'
import { type LocalServer, serveLocally } from '../support/json-server.ts'

export interface SellerOptions {
  readonly version: 1 | 2
  /** Null: the seller answers without ever asking a facilitator. */
  readonly facilitatorUrl: string | null
  /** Atomic units. A function hears how often a price was asked for before. */
  readonly price?: string | ((asked: number) => string)
  readonly offer?: Readonly<Record<string, unknown>>
  readonly description?: string
  /** Answers a paid request itself (true) or leaves it to the seller (false). */
  readonly intercept?: (request: SellerRequest, response: ServerResponse) => boolean
  /** Answers a request that carries no payment instead of the challenge. */
  readonly unpaid?: (response: ServerResponse) => void
}

export interface SellerRequest {
  readonly message: IncomingMessage
  readonly body: string
  /** Counts the requests that carried a payment, from 1. */
  readonly paidCount: number
}

export interface Seller extends LocalServer {
  /** Payment headers in the order in which they came. */
  readonly payments: string[]
  readonly requests: { readonly method: string; readonly body: string }[]
}

/** A seller as small as the specification allows, in one protocol version. */
export async function startSeller(options: SellerOptions): Promise<Seller> {
  const payments: string[] = []
  const requests: Seller['requests'] = []
  const price = priceList(options.price ?? '1000')
  const server = await serveLocally(async (message, response) => {
    const body = await readAll(message)
    requests.push({ method: message.method ?? '', body })
    const payment = message.headers[options.version === 2 ? 'payment-signature' : 'x-payment']
    if (typeof payment !== 'string') {
      if (options.unpaid) return options.unpaid(response)
      return challenge(response, options, price())
    }
    payments.push(payment)
    const request = { message, body, paidCount: payments.length }
    if (options.intercept?.(request, response)) return
    await sell(response, { ...options, payment, price: price() })
  })
  return { ...server, payments, requests }
}

function priceList(price: string | ((asked: number) => string)): () => string {
  let asked = 0
  return () => (typeof price === 'string' ? price : price(asked++))
}

function requirements({ version, offer, description }: SellerOptions, amount: string) {
  const common = {
    scheme: 'exact',
    asset: TOKEN_ADDRESS,
    payTo: seller.address,
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
  }
  const v1 = { resource: 'http://seller.test/', description: description ?? '', mimeType: '' }
  return version === 2
    ? { ...common, network: 'eip155:84532', amount, ...offer }
    : { ...common, ...v1, network: 'base-sepolia', maxAmountRequired: amount, ...offer }
}

function challenge(
  response: ServerResponse,
  options: SellerOptions,
  amount: string,
  error?: string,
) {
  const accepts = [requirements(options, amount)]
  if (options.version === 1) {
    response.writeHead(402, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ x402Version: 1, error: error ?? 'payment required', accepts }))
    return
  }
  const resource = { url: 'http://seller.test/', description: options.description ?? 'a report' }
  response.writeHead(402, {
    'payment-required': base64({ x402Version: 2, error, resource, accepts }),
  })
  response.end('{}')
}

interface FacilitatorAnswer {
  readonly isValid?: boolean
  readonly invalidReason?: string
  readonly success?: boolean
  readonly errorReason?: string
}

type Sale = SellerOptions & { readonly payment: string; readonly price: string }

async function sell(response: ServerResponse, sale: Sale): Promise<void> {
  const paymentPayload = JSON.parse(Buffer.from(sale.payment, 'base64').toString())
  const paymentRequirements = requirements(sale, sale.price)
  const x402Version = sale.version
  const ask = async (operation: string): Promise<FacilitatorAnswer> => {
    const answer = await fetch(`${sale.facilitatorUrl}/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ x402Version, paymentPayload, paymentRequirements }),
    })
    return answer.json() as Promise<FacilitatorAnswer> // our own test facilitator
  }
  const verified = await ask('verify')
  if (!verified.isValid) return challenge(response, sale, sale.price, verified.invalidReason)
  const settled = await ask('settle')
  if (!settled.success) return challenge(response, sale, sale.price, settled.errorReason)
  const name = sale.version === 2 ? 'payment-response' : 'x-payment-response'
  response.writeHead(200, { 'content-type': 'text/plain', [name]: base64(settled) })
  response.end('what was paid for\n')
}

export function base64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64')
}

async function readAll(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
