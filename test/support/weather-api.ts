import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { readJson, serveLocally } from './json-server.ts'

export interface RecordedRequest {
  readonly method: string
  /** The request target as it came. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export interface WeatherApi {
  readonly url: string
  /** Every request that arrived, oldest first. */
  readonly requests: RecordedRequest[]
  close(): Promise<void>
}

export interface WeatherApiOptions {
  /** Between two events of a forecast. Make it long to keep a stream open. */
  readonly eventIntervalMs?: number
}

const EVENTS_PER_FORECAST = 5

/** An ordinary API that has never heard of payments: what the gateway is put in front of. */
export async function startWeatherApi(options: WeatherApiOptions = {}): Promise<WeatherApi> {
  const { eventIntervalMs = 15 } = options
  const requests: RecordedRequest[] = []
  const server = await serveLocally(async (request, response) => {
    const { method = 'GET', url = '/', headers } = request
    requests.push({ method, url, headers })
    const path = decodePath(url.replace(/\?.*$/, ''))
    const weather = /^\/v1\/weather\/([^/]+)$/.exec(path)?.[1]
    const forecast = /^\/v1\/forecast\/([^/]+)\/stream$/.exec(path)?.[1]
    if (path === '/health') return reply(response, 200, { status: 'ok' })
    if (path === '/v1/broken') return reply(response, 500, { error: 'The sensor is offline.' })
    if (path === '/v1/report' && method === 'POST') return report(request, response)
    const readable = method === 'GET' || method === 'HEAD'
    if (weather !== undefined && readable) return reply(response, 200, weatherIn(weather))
    if (forecast !== undefined && readable) return stream(response, forecast, eventIntervalMs)
    reply(response, 404, { error: `Nothing at ${method} ${path}` })
  })
  return { url: server.url, requests, close: server.close }
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** The same city always has the same weather, so that tests can compare bodies. */
function weatherIn(city: string) {
  const seed = [...city].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0)
  const conditions = ['sunny', 'cloudy', 'light rain', 'windy']
  return {
    city,
    temperatureCelsius: 5 + (seed % 25),
    conditions: conditions[seed % conditions.length],
  }
}

async function report(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readJson(request)
  if (body.kind === 'not-json') return reply(response, 400, { error: 'Send a JSON body.' })
  reply(response, 201, { report: 'Thirty days of weather', request: body.value })
}

function stream(response: ServerResponse, city: string, eventIntervalMs: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  let sent = 0
  const sendNext = () => {
    sent += 1
    const event = { ...weatherIn(city), hoursAhead: sent }
    response.write(`id: ${sent}\nevent: forecast\ndata: ${JSON.stringify(event)}\n\n`)
    if (sent < EVENTS_PER_FORECAST) return
    clearInterval(timer)
    response.end()
  }
  const timer = setInterval(sendNext, eventIntervalMs)
  response.on('close', () => clearInterval(timer))
  sendNext()
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
