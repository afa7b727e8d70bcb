import type { Template } from './shapes.js';

/** A reminder as a clinic sends it: who is seen and when stays in the inbox and the mail, and off lock screens. */
export const SAMPLE: Template & { readonly category: string } = {
  id: 'clinic-reminder',
  title: 'Appointment with {{therapist}}',
  body: 'We see you on {{startsAt.date}} at {{startsAt.time}} ({{startsAt.zone}}).',
  channels: ['in_app', 'email', 'push'],
  category: 'appointments',
  fields: { therapist: { type: 'text', class: 'pii' }, startsAt: { type: 'datetime', class: 'pii' } },
  email: {
    subject: 'Your appointment',
    html: '<h1>Your appointment</h1><p>We see you on <strong>{{startsAt.date}}</strong> at <strong>{{startsAt.time}}</strong>.</p><p>{{therapist}} looks forward to it.</p>',
    text: 'We see you on {{startsAt.date}} at {{startsAt.time}}. {{therapist}} looks forward to it.',
  },
  push: { title: 'A new message', body: 'Open the app to read it.' },
};
