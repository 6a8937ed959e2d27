import type { LimitsConfig, RateConfig } from '../../config/limits-config.ts'
import { formatDuration, formatSize } from '../../config/values.ts'
import { type Line, ownOrDefault, type Subject, type Topic } from './topic.ts'

/** What is refused for being too large, too slow or too much. */
export const limitsTopic: Topic = {
  title: 'LIMITS',
  lines(subject) {
    const { config, upstream } = subject
    const { headerBytes, bodyBytes, requestTimeoutMs, replyBytesPerSecondMin } =
      config.server.limits
    const server = (label: string, key: string, value: string): Line => {
      return { label, value, at: [['server', 'limits', key]] }
    }
    const at = ['upstreams', upstream?.name ?? '']
    const ofUpstream: Line[] =
      upstream === null
        ? []
        : [
            {
              label: 'connects within',
              value: formatDuration(upstream.connectTimeoutMs),
              at: [[...at, 'connectTimeout']],
            },
            {
              label: 'connections up to',
              value: String(upstream.maxConnections),
              at: [[...at, 'maxConnections']],
            },
          ]
    return [
      server('headers up to', 'headerBytes', formatSize(headerBytes)),
      server('body up to', 'bodyBytes', formatSize(bodyBytes)),
      server('arrives within', 'requestTimeout', formatDuration(requestTimeoutMs)),
      server('read at least at', 'minReplyRate', paceText(replyBytesPerSecondMin)),
      ...ofUpstream,
      ...rateLines(subject),
    ]
  },
}

function rateLines(subject: Subject): Line[] {
  const { route, config } = subject
  const places = ownOrDefault(subject, 'rateLimit')
  const rates = route.rateLimits.map((rate, index): Line => {
    // A single limit need not stand in a list.
    const at = [...places.map(path => [...path, index]), ...places]
    return { label: 'rate', value: `${rateText(rate)} by ${rate.by}`, at }
  })
  const none: Line = { label: 'rate', value: 'any', at: places }
  const isAsked = route.price.kind === 'paid' && route.mode === 'enforce'
  return [...(rates.length === 0 ? [none] : rates), ...(isAsked ? junkLines(config.limits) : [])]
}

/** What those may cost who do not pay. */
function junkLines({ unpaid, verify }: LimitsConfig): Line[] {
  const line = (label: string, key: string, value: string): Line => {
    return { label, value, at: [['limits', 'verify', key]] }
  }
  return [
    {
      label: 'unpaid answers',
      value: unpaid === null ? 'any number' : `${rateText(unpaid)} by address`,
      at: [['limits', 'unpaid']],
    },
    line('looks at strangers', 'strangers', rateText(verify.strangers)),
    line('calls for newcomers', 'newcomers', rateText(verify.newcomers)),
    line('calls for smart wallets', 'smartWallets', rateText(verify.smartWallets)),
    line('refused payments', 'refused', `${rateText(verify.refused)} by address, and by payer`),
    line('verified at once', 'perPayer', `${verify.payerMax} of a payer`),
    line('and of newcomers', 'perAddress', `${verify.addressMax} of an address`),
  ]
}

function paceText(bytesPerSecond = 0): string {
  return bytesPerSecond === 0 ? 'any pace' : `${formatSize(bytesPerSecond)} a second`
}

function rateText({ requests, perMs }: RateConfig): string {
  return `${requests} in ${formatDuration(perMs)}`
}
