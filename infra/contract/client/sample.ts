// What a front end does with the typed client: sign in, list jobs, create one
// and read its history. make client-check compiles it against the types that
// are generated from the OpenAPI document; nothing here is written by hand twice.
//
//   API_URL=http://localhost:3000 EMAIL=… PASSWORD=… node sample.js
import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from './api.js'

type Job = components['schemas']['JobView']
type Failure = components['schemas']['ErrorEnvelope']

/** A refusal of the API, with the faults of each field. */
export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    const faults = (failure.errors ?? []).map((fault) => `${fault.field} ${fault.message}`)
    super([failure.message, ...faults].join('; '))
  }
}

/** The data of an answer, or an ApiError. */
function dataOf<T>(answer: { data?: { data: T }; error?: Failure }): T {
  if (answer.data === undefined) throw answer.error ? new ApiError(answer.error) : new Error('an answer without a body')
  return answer.data.data
}

/** A client that bears the access token once there is one. */
export function connect(baseUrl: string) {
  const api = createClient<paths>({ baseUrl })
  let accessToken: string | undefined
  const bearer: Middleware = {
    onRequest({ request }) {
      if (accessToken) request.headers.set('Authorization', `Bearer ${accessToken}`)
      return request
    },
  }
  api.use(bearer)

  return {
    async signIn(email: string, password: string) {
      const session = dataOf(await api.POST('/auth/login', { body: { email, password, rememberMe: false } }))
      accessToken = session.accessToken
      return session.user
    },

    /** All jobs, page by page. */
    async *jobs(status?: Job['status']): AsyncGenerator<Job> {
      for (let page = 1, lastPage = 1; page <= lastPage; page++) {
        const { data, error } = await api.GET('/jobs', { params: { query: { page, limit: 100, status } } })
        if (error) throw new ApiError(error)
        yield* data.data
        lastPage = data.meta.lastPage
      }
    },

    async createJob(job: components['schemas']['JobBody']) {
      const header = { 'Idempotency-Key': crypto.randomUUID() }
      return dataOf(await api.POST('/jobs', { params: { header }, body: job }))
    },

    async run(id: number) {
      return dataOf(await api.POST('/jobs/{id}/execute', { params: { path: { id } } }))
    },

    async history(jobId: number) {
      return dataOf(await api.GET('/jobs/{id}/history', { params: { path: { id: jobId }, query: { limit: 20 } } }))
    },

    async remove(id: number) {
      await api.DELETE('/jobs/{id}', { params: { path: { id } } })
    },

    async firstCategory() {
      const [first] = dataOf(await api.GET('/categories', { params: { query: { limit: 1 } } }))
      return first ?? dataOf(await api.POST('/categories', { body: { name: 'Samples', color: '#3B82F6' } }))
    },
  }
}

async function main(baseUrl: string, email: string, password: string) {
  const api = connect(baseUrl)
  const user = await api.signIn(email, password)
  console.log(`signed in as ${user.name}, ${user.role}`)

  const category = await api.firstCategory()
  const job = await api.createJob({
    name: `Sample ${Date.now()}`,
    description: 'Made by the sample of the typed client.',
    cronPattern: '0 2 * * *',
    url: `${baseUrl}/local/echo`,
    categoryId: category.id,
  })
  for await (const each of api.jobs('active')) console.log(`${each.id} ${each.name}, next at ${each.nextRunAt ?? '—'}`)

  await api.run(job.id)
  for (const run of await api.history(job.id)) {
    console.log(`${run.scheduledFor} ${run.status}${run.error ? `: ${run.error.kind}` : ''}`)
  }
  await api.remove(job.id)
}

const { API_URL, EMAIL, PASSWORD } = process.env
if (API_URL && EMAIL && PASSWORD) await main(API_URL, EMAIL, PASSWORD)
