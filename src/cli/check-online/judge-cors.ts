import type { RouteConfig } from '../../config/gateway-config.ts'
import type { Finding, FindingsAt } from './finding.ts'
import type { Asked, WebAnswer } from './web-request.ts'

/** What a page must read to pay and to show its receipt, and what it must send. */
const EXPOSED = ['payment-required', 'payment-response', 'x-payment-response']
const SENT = ['payment-signature', 'x-payment']

const ANY_PAGE = 'https://page.example'

/** A page that may call the route; null where CORS is off. */
export function originOf({ cors }: RouteConfig): string | null {
  const [first] = cors?.origins ?? []
  return first === '*' ? ANY_PAGE : (first ?? null)
}

/** What a browser sends before it lets a page pay (Fetch standard, "CORS-preflight request"). */
export function preflightHeaders(origin: string, method: string): Record<string, string> {
  return {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': SENT.join(','),
  }
}

/** What keeps pages in browsers from paying; nothing where all is right. */
export function judgeCors(
  answers: { readonly challenge: WebAnswer; readonly preflight: Asked },
  { key, origin }: { readonly key: string; readonly origin: string },
  at: FindingsAt,
): readonly Finding[] {
  const cure = 'Let what stands before the gateway pass on OPTIONS and its Access-Control headers.'
  const refuse = (message: string): Finding => at.problem(`${key}: ${message}`, cure)
  const findings: Finding[] = []
  const { challenge, preflight } = answers
  if (!allows(challenge, origin)) {
    findings.push(refuse(`CORS is on, and the 402 does not allow ${origin}`))
  }
  const hidden = EXPOSED.filter(name => !lists(challenge, 'access-control-expose-headers', name))
  if (hidden.length > 0) findings.push(refuse(`CORS does not expose ${hidden.join(', ')}`))
  if (preflight.kind !== 'answer') {
    findings.push(refuse(`a browser's preflight got no answer: ${preflight.reason}`))
  } else if (preflight.status < 200 || preflight.status > 299 || !allows(preflight, origin)) {
    findings.push(refuse(`a browser's preflight is refused (status ${preflight.status})`))
  } else {
    const kept = SENT.filter(name => !lists(preflight, 'access-control-allow-headers', name))
    if (kept.length > 0) findings.push(refuse(`CORS lets no page send ${kept.join(', ')}`))
  }
  return findings
}

function allows({ header }: WebAnswer, origin: string): boolean {
  const allowed = header('access-control-allow-origin')
  return allowed === '*' || allowed === origin
}

function lists({ header }: WebAnswer, name: string, value: string): boolean {
  const listed = header(name)?.toLowerCase().split(',') ?? []
  return listed.some(one => one.trim() === value)
}
