import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWeatherApi, type WeatherApi } from './weather-api.ts'

let api: WeatherApi

beforeAll(async () => {
  api = await startWeatherApi({ eventIntervalMs: 2 })
})
afterAll(() => api.close())

test('tells the weather of a city, always the same, and records the request', async () => {
  const url = `${api.url}/v1/weather/S%C3%A3o%20Paulo?units=metric`
  const first = await (await fetch(url, { headers: { 'x-trace': '7' } })).json()
  expect(first).toEqual(await (await fetch(url)).json())
  expect(first).toMatchObject({ city: 'São Paulo' })
  const [recorded] = api.requests
  expect(recorded).toMatchObject({ method: 'GET', headers: { 'x-trace': '7' } })
  expect(recorded?.url).toBe('/v1/weather/S%C3%A3o%20Paulo?units=metric')
})

test('streams five events and ends', async () => {
  const response = await fetch(`${api.url}/v1/forecast/paris/stream`)
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const events = (await response.text()).split('\n\n').filter(event => event !== '')
  expect(events.map(event => event.split('\n')[0])).toEqual([1, 2, 3, 4, 5].map(n => `id: ${n}`))
})

test.each([
  ['POST', '/v1/report', '{"city":"Oslo"}', 201, { request: { city: 'Oslo' } }],
  ['POST', '/v1/report', '{"city":', 400, { error: 'Send a JSON body.' }],
  ['GET', '/v1/broken', undefined, 500, { error: 'The sensor is offline.' }],
  ['GET', '/health', undefined, 200, { status: 'ok' }],
  ['GET', '/v1/%zz', undefined, 404, {}],
  ['DELETE', '/v1/weather/paris', undefined, 404, {}],
])('answers %s %s %s with %i', async (method, path, body, status, expected) => {
  const response = await fetch(api.url + path, { method, body: body ?? null })
  expect(response.status).toBe(status)
  expect(await response.json()).toMatchObject(expected)
})
