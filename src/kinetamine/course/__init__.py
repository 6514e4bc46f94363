"""Course of treatment: series of sessions, visit rules, response, relapse, virtual trials. Models of groups."""

from kinetamine.course.result import CourseResult
from kinetamine.course.run import available_courses, course, read_course
from kinetamine.course.search import SearchResult, search_boosters
from kinetamine.course.trials import TrialResult, trial

__all__ = [
    "CourseResult",
    "SearchResult",
    "TrialResult",
    "available_courses",
    "course",
    "read_course",
    "search_boosters",
    "trial",
]
