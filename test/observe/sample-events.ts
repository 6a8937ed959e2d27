import type { PaymentSeen, RequestFinished } from '../../src/observe/events.ts'

export const unpaidRequest: RequestFinished = {
  requestId: 'r-1',
  route: 'GET /v1/weather/{city}',
  method: 'GET',
  status: 402,
  outcome: 'payment_required',
  durationMs: 1.23456,
  clientAddress: '198.51.100.1',
}

export const payment: PaymentSeen = {
  id: 'p-1',
  network: 'eip155:84532',
  asset: 'USDC',
  amount: 1500n,
  decimals: 6,
  payer: '0xpayer',
  transaction: '0xhash',
  outcome: 'paid',
  charged: true,
}

export const paidRequest: RequestFinished = {
  ...unpaidRequest,
  requestId: 'r-2',
  status: 200,
  outcome: 'paid',
  durationMs: 40,
  upstreamMs: 12,
  payment,
}
