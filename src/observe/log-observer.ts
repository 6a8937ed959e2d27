import { formatAmount } from '../core/amount.ts'
import { createSeldom } from '../core/seldom.ts'
import { describeError } from './describe-error.ts'
import type { FacilitatorAnswered, GatewayObserver, RequestFinished, ShadowSeen } from './events.ts'
import { createSample } from './sampled-lines.ts'

/** Beside time, level and message. Never headers, queries, payment payloads or secrets. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | object>> & {
  readonly time?: never
  readonly level?: never
  readonly msg?: never
}

export type WriteLine = (message: string, fields?: LogFields) => void

export interface LogLines {
  readonly debug: WriteLine
  readonly info: WriteLine
  readonly warn: WriteLine
  readonly error: WriteLine
}

/**
 * Whether a request is worth a warning is for whoever reads its outcome: each is one info line. Of
 * those over a limit some are left out, and the next line says how many.
 */
export function createLogObserver(log: LogLines): GatewayObserver {
  /** Keys of which it was said that they have little left: said once. */
  const low = new Set<string>()
  const isNews = createSeldom(() => performance.now())
  const sample = createSample()
  return {
    requestFinished(event) {
      const leftOut = event.limitedBy === undefined ? 0 : sample(event.limitedBy)
      if (leftOut !== null) log.info('request', requestFields(event, leftOut))
    },
    facilitatorAnswered(event) {
      if (event.outcome === 'no_answer') log.warn('facilitator did not answer', callFields(event))
      else log.debug('facilitator answered', callFields(event))
    },
    extensionAnswered(event) {
      if (event.status !== 'rejected') log.debug('facilitator took an extension', { ...event })
      // It comes with every payment.
      else if (isNews(JSON.stringify(event))) {
        log.warn('facilitator rejected an extension', { ...event })
      }
    },
    facilitatorChanged({ facilitator, condition, forMs }) {
      if (condition === 'up') log.info('facilitator is up', { facilitator })
      else log.warn(`facilitator is ${condition}`, { facilitator, forMs: roundMs(forMs) })
    },
    upstreamChanged({ upstream, target, fault, forMs }) {
      if (fault === null) log.info('upstream target is up', { upstream, target })
      else log.warn('upstream target is down', { upstream, target, fault, forMs: roundMs(forMs) })
    },
    upstreamRefused: ({ upstream }) => log.debug('upstream has too many requests', { upstream }),
    configReloaded({ ok, problems }) {
      if (ok) log.info('configuration reloaded')
      else log.error('configuration is bad, the old one stays in force', { problems })
    },
    claimResolved(event) {
      const { outcome, reason, transaction, payer, network, route } = event
      const ageMs = roundMs(event.ageMs)
      const fields = { outcome, reason, network, route, payer, transaction, ageMs }
      if (outcome === 'open') log.debug('settlement still open', fields)
      else log.info('settlement resolved', fields)
    },
    settlementChecked: ({ network, route, outcome }) =>
      log.debug('settlement checked', { outcome, network, route }),
    gasBalanceRead({ network, address, balanceWei, isLow }) {
      const key = `${network}/${address}`
      if (low.has(key) === isLow) return
      const fields = { network, address, balanceWei: String(balanceWei) }
      if (isLow) log.warn('a key has little left for gas', fields)
      else log.info('a key has enough for gas again', fields)
      if (isLow) low.add(key)
      else low.delete(key)
    },
    gasSpent: ({ network, address, wei }) =>
      log.debug('gas was paid', { network, address, wei: String(wei) }),
    facilitatorServed: event =>
      log.info('request', { ...event, durationMs: roundMs(event.durationMs) }),
    tunnelOpened: ({ route }) => log.debug('websocket opened', { route }),
    tunnelClosed: event =>
      log.info('websocket closed', { ...event, durationMs: roundMs(event.durationMs) }),
    errorReported({ error, requestId }) {
      const described = { error: describeError(error) }
      log.error('error', requestId === null ? described : { requestId, ...described })
    },
    workerEnded: ({ worker, exitCode, signal, replacedInMs }) =>
      log.error('worker ended', { worker, exitCode, signal, replacedInMs }),
  }
}

function requestFields(event: RequestFinished, leftOut: number): LogFields {
  const fields: Record<string, string | number | object | null> = {
    requestId: event.requestId,
    method: event.method,
    route: event.route,
    status: event.status,
    outcome: event.outcome,
    durationMs: roundMs(event.durationMs),
    clientAddress: event.clientAddress,
  }
  if (event.limitedBy !== undefined) fields['limitedBy'] = event.limitedBy
  if (leftOut > 0) fields['leftOut'] = leftOut
  if (event.upstreamMs !== undefined) fields['upstreamMs'] = roundMs(event.upstreamMs)
  if (event.shadow !== undefined) fields['shadow'] = shadowFields(event.shadow)
  if (event.client !== undefined) fields['client'] = event.client
  if (event.credentialFlaw !== undefined) fields['credentialFlaw'] = event.credentialFlaw
  const { payment } = event
  if (payment === undefined) return fields
  fields['payment'] = {
    id: payment.id,
    network: payment.network,
    asset: payment.asset,
    amount: formatAmount(payment.amount, payment.decimals),
    payer: payment.payer,
    transaction: payment.transaction,
    outcome: payment.outcome,
    charged: payment.charged,
  }
  return fields
}

function shadowFields(shadow: ShadowSeen): LogFields {
  const { network, asset, amount, decimals, due, payment, reason } = shadow
  return { network, asset, amount: formatAmount(amount, decimals), due, payment, reason }
}

function callFields({
  facilitator,
  operation,
  outcome,
  durationMs,
}: FacilitatorAnswered): LogFields {
  return { facilitator, operation, outcome, durationMs: roundMs(durationMs) }
}

/** Microseconds are enough, and a float's tail is noise. */
function roundMs(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
