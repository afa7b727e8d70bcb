/** The template both sides render: that of the founding example. */
export const template = {
  id: 'appointment-reminder',
  title: 'Upcoming Appointment',
  body: 'You have an appointment with {{therapistName}} on {{date}} at {{time}}',
};

/** Users, each with one socket. */
export const USERS = 200;

export const userName = (index: number) => `user-${index % USERS}`;

/** The notification number `index` of a load: the users take turns. */
export function request(index: number) {
  return {
    userId: userName(index),
    templateId: template.id,
    data: { therapistName: 'Dr. Smith', date: '2025-03-15', time: '2:00 PM' },
  };
}
