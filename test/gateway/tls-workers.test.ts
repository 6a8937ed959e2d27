import { once } from 'node:events'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
} from '../support/certificates.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { workersOf } from '../support/worker-processes.ts'

const WORKERS = 3
const DAY_MS = 86_400_000

let authority: CertificateAuthority
let folder: OwnFolder
let gateway: ChildGateway

beforeAll(async () => {
  authority = await createAuthority()
  folder = ownFolder()
  folder.write(`version: 1
server: {listen: "127.0.0.1:0", workers: ${WORKERS}, tls: {cert: tls/live/tls.crt, key: tls/live/tls.key}}
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:./store/farebox.db"}
upstreams: {nobody: {url: "http://127.0.0.1:9"}}
routes: {/health: free}
`)
  swapIn('one', await issue('first.example', 20))
  const started = await startChildGateway(folder.configFile)
  if (started.kind === 'ended') throw new Error(started.stderr)
  gateway = started
}, 60_000)

afterAll(async () => {
  await gateway.stop()
  folder.remove()
})

function issue(name: string, days: number): Promise<Certificate> {
  return authority.issue({ name, notAfter: new Date(Date.now() + days * DAY_MS) })
}

const certificates = (): string => join(dirname(folder.configFile), 'tls')

/** Written into the files that are served from: their directory is watched. */
function renew({ cert, key }: Certificate): void {
  for (const [name, text] of Object.entries({ 'tls.crt': cert, 'tls.key': key })) {
    writeFileSync(join(certificates(), 'live', `${name}.new`), text)
    renameSync(join(certificates(), 'live', `${name}.new`), join(certificates(), 'live', name))
  }
}

/** By a link in a directory that nothing is read from: nobody sees it until they are told to look. */
function swapIn(directory: string, { cert, key }: Certificate): void {
  mkdirSync(join(certificates(), directory), { recursive: true })
  writeFileSync(join(certificates(), directory, 'tls.crt'), cert)
  writeFileSync(join(certificates(), directory, 'tls.key'), key)
  symlinkSync(directory, join(certificates(), 'next'))
  renameSync(join(certificates(), 'next'), join(certificates(), 'live'))
}

/** What each worker shows. The others stand still meanwhile, so that it takes the connection. */
async function namesShown(): Promise<string[]> {
  const workers = workersOf(gateway.pid)
  const names: string[] = []
  for (const asked of workers) {
    const others = workers.filter(worker => worker !== asked)
    for (const other of others) process.kill(other, 'SIGSTOP')
    try {
      const socket = await secured()
      names.push(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    } finally {
      for (const other of others) process.kill(other, 'SIGCONT')
    }
  }
  return names
}

async function secured(): Promise<TLSSocket> {
  const { hostname: host, port } = new URL(gateway.url)
  const socket = connect({ host, port: Number(port), ca: authority.cert })
  await once(socket, 'secureConnect')
  return socket
}

const all = (name: string): string[] => Array.from({ length: WORKERS }, () => name)

const RELOADED = 'configuration reloaded'
const REFUSED = 'configuration is bad, the old one stays in force'
const told = (what: string): number => gateway.logs.filter(({ msg }) => msg === what).length

/** Until it is logged once more. */
async function telling(what: string, act: () => void): Promise<void> {
  const before = told(what)
  act()
  await expect.poll(() => told(what)).toBeGreaterThan(before)
}

const hangUp = () => void process.kill(gateway.pid, 'SIGHUP')

async function adminText(path: string): Promise<string> {
  return (await fetch(`${gateway.adminUrl}${path}`)).text()
}

/** When the certificate in force ends, as the metrics have it. */
async function daysLeft(): Promise<number> {
  const [, seconds] =
    /^farebox_tls_certificate_not_after_seconds (\d+)$/m.exec(await adminText('/metrics')) ?? []
  return Math.round((Number(seconds) * 1000 - Date.now()) / DAY_MS)
}

test('every worker shows a certificate whose files have changed, and old connections live on', async () => {
  expect(await namesShown()).toEqual(all('first.example'))
  const old = await secured()
  const next = await issue('second.example', 40)
  await telling(RELOADED, () => renew(next))
  expect(await namesShown()).toEqual(all('second.example'))
  expect(await daysLeft()).toBe(40)
  const answer = once(old, 'data')
  old.write('GET /nowhere HTTP/1.1\r\nHost: first.example\r\n\r\n')
  expect(String(await answer)).toMatch(/^HTTP\/1\.1 404 /)
  old.destroy()
}, 60_000)

test('every worker shows the certificate that SIGHUP had read', async () => {
  const before = await namesShown()
  swapIn('two', await issue('third.example', 30))
  expect(await namesShown()).toEqual(before)
  await telling(RELOADED, hangUp)
  expect(await namesShown()).toEqual(all('third.example'))
}, 60_000)

test('a bad certificate is shown by none, nor by one that is started later, and is told of', async () => {
  const [before, daysBefore] = [await namesShown(), await daysLeft()]
  const [good, other] = await Promise.all([issue('last.example', 50), issue('other.example', 50)])
  swapIn('three', { cert: good.cert, key: other.key })
  await telling(REFUSED, hangUp)
  expect(await namesShown()).toEqual(before)
  const refusal = 'the last reload was refused: '
  expect(await adminText('/readyz')).toMatch(
    new RegExp(`^{"ready":true,.*${refusal}.*server\\.tls\\.key: is not the key`),
  )
  expect(await adminText('/metrics')).toContain('farebox_config_last_reload_success 0')
  expect(await daysLeft()).toBe(daysBefore)

  const [victim = 0] = workersOf(gateway.pid)
  await telling('worker ended', () => process.kill(victim, 'SIGKILL'))
  await expect.poll(() => adminText('/readyz')).not.toContain('worker')
  expect(workersOf(gateway.pid)).not.toContain(victim)
  expect(await namesShown()).toEqual(before)

  swapIn('four', good)
  await telling(RELOADED, hangUp)
  expect(await namesShown()).toEqual(all('last.example'))
  expect(await adminText('/readyz')).not.toContain(refusal)
  expect(await adminText('/metrics')).toContain('farebox_config_last_reload_success 1')
  expect(await daysLeft()).toBe(50)
}, 60_000)
