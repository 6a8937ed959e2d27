import type { Hex } from 'viem'
import { formatAmount } from '../src/core/amount.ts'
import { createAgent, type PayingAgent, type SignedPayment } from './client.ts'
import { DemoFailure } from './failure.ts'
import type { Show } from './print.ts'
import type { World } from './world.ts'

/** The test dollar's, like USDC's. */
const DECIMALS = 6
const PATH = '/v1/weather/paris'
const GATEWAY_FIX = 'Run "npm run demo -- --once" and report the output: the gateway misbehaves.'

interface Balances {
  /** Atomic units. */
  readonly buyer: bigint
  readonly seller: bigint
}

/**
 * One paid request from beginning to end, told step by step.
 *
 * Throws `DemoFailure` unless the money on the chain moved by exactly the price.
 */
export async function walkThrough(world: World, show: Show): Promise<void> {
  const agent = createAgent(world.buyer, '$0.01')
  const url = `${world.gateway.url}${PATH}`
  const before = await show('balances_before', 'Reading balances', () => readBalances(world))
  const challenge = await show('unpaid', 'Asking without paying', () => askUnpaid(agent, url))
  const payment = await show('signed', 'Signing', () => sign(agent, challenge))
  const paid = await show('paid', 'Asking with the payment', () => askPaying(url, payment))
  await show('settled', 'Looking at the chain', () => readSettlement(world, agent, paid))
  await show('refused', 'Sending the payment again', () => askAgain(url, payment))
  const price = payment.transfer.value
  await show('balances_after', 'Reading balances', () => checkBalances(world, before, price))
}

async function readBalances({ chain, buyer, seller }: World) {
  const balances: Balances = {
    buyer: await chain.balanceOf(buyer.address),
    seller: await chain.balanceOf(seller.address),
  }
  const details = [
    ['buyer', dollars(balances.buyer)],
    ['seller', dollars(balances.seller)],
  ] as const
  return { value: balances, told: { summary: 'Before', details, facts: inFacts(balances) } }
}

async function askUnpaid(agent: PayingAgent, url: string) {
  const response = await ask(url, {})
  await expectStatus(response, 402)
  const challenge = agent.readChallenge(response)
  const [offer] = challenge.accepts
  if (offer === undefined) throw new DemoFailure('The 402 offers no way to pay.', gatewayFix())
  const { amount, network, asset, payTo } = offer
  const price = dollars(BigInt(amount))
  const details = [
    ['asked', `GET ${PATH}`],
    ['price', `${price} on ${network}`],
    ['asset', asset],
    ['pay to', payTo],
  ] as const
  const summary = `Without a payment: 402, it costs ${price}`
  const facts = { status: response.status, url, price, amount, network, asset, payTo }
  return { value: challenge, told: { summary, details, facts } }
}

async function sign(agent: PayingAgent, challenge: ReturnType<PayingAgent['readChallenge']>) {
  const payment = await agent.sign(challenge)
  const { from, to, value, validBefore, nonce } = payment.transfer
  const until = new Date(validBefore * 1000).toISOString()
  const details = [
    ['from', from],
    ['to', to],
    ['value', `${value} (${dollars(value)})`],
    ['valid before', until],
    ['nonce', nonce],
  ] as const
  const facts = { from, to, value: value.toString(), validBefore, nonce }
  const summary = 'The agent signs a transfer; no gas, no account, no API key'
  return { value: payment, told: { summary, details, facts } }
}

async function askPaying(url: string, payment: SignedPayment) {
  const response = await ask(url, payment.headers)
  await expectStatus(response, 200)
  const body = await response.text()
  const facts = { status: response.status, body }
  const told = { summary: 'With the payment: 200', details: [['body', body]] as const, facts }
  return { value: response, told }
}

async function readSettlement({ chain }: World, agent: PayingAgent, paid: Response) {
  const { success, transaction, network } = agent.readReceipt(paid)
  if (!success) throw new DemoFailure('The receipt does not say that it settled.', gatewayFix())
  const hash = transaction as Hex // the chain refuses anything else
  const { status, blockNumber } = await chain.publicClient.getTransactionReceipt({ hash })
  if (status !== 'success') throw new DemoFailure('The transaction was reverted.', gatewayFix())
  const facts = { transaction, network, block: blockNumber.toString() }
  const details = [
    ['transaction', transaction],
    ['block', facts.block],
  ] as const
  return { value: null, told: { summary: 'Settled on the chain', details, facts } }
}

async function askAgain(url: string, payment: SignedPayment) {
  const response = await ask(url, payment.headers)
  await expectStatus(response, 409)
  const problem: unknown = await response.json()
  const code = typeof problem === 'object' && problem && 'code' in problem ? problem.code : null
  if (code !== 'payment_already_used') {
    throw new DemoFailure(`A used payment was answered with the code ${code}.`, gatewayFix())
  }
  const facts = { status: response.status, code }
  const told = { summary: `The same payment again: 409 ${code}`, details: [], facts }
  return { value: null, told }
}

async function checkBalances(world: World, before: Balances, price: bigint) {
  const { value: after } = await readBalances(world)
  const earned = after.seller - before.seller
  if (earned !== price || before.buyer - after.buyer !== price) {
    const moved = `The seller got ${dollars(earned)} and the price is ${dollars(price)}.`
    throw new DemoFailure(moved, gatewayFix())
  }
  const details = [
    ['buyer', `${dollars(before.buyer)} → ${dollars(after.buyer)}`],
    ['seller', `${dollars(before.seller)} → ${dollars(after.seller)}`],
  ] as const
  const facts = { ...inFacts(after), moved: earned.toString() }
  return { value: null, told: { summary: `${dollars(earned)} moved, once`, details, facts } }
}

function ask(url: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(url, { headers, signal: AbortSignal.timeout(10_000) })
}

async function expectStatus(response: Response, status: number): Promise<void> {
  if (response.status === status) return
  const body = (await response.text()).slice(0, 300)
  throw new DemoFailure(`Expected ${status}, got ${response.status}: ${body}`, gatewayFix())
}

function gatewayFix() {
  return { fix: GATEWAY_FIX }
}

function dollars(atomic: bigint): string {
  return `$${formatAmount(atomic, DECIMALS)}`
}

function inFacts(balances: Balances) {
  return { buyer: balances.buyer.toString(), seller: balances.seller.toString() }
}
